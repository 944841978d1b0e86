#include "index/ivf/entry_gatherer.h"

#include <algorithm>

#include "index/base/prefetch.h"
#include "index/ivf/block_codes.h"
#include "index/ivf/lists_snapshot.h"
#include "index/ivf/query_scan.h"

namespace tessera {

class EntryGatherer::Pass {
 public:
  Pass(const ListsSnapshot& lists, std::span<const Neighbor> which, const EntryFilter& filter,
       const SlotSet& deleted)
      : lists_(lists),
        which_(which),
        filter_(filter),
        deleted_(deleted),
        shape_(lists.tables().shape),
        block_bytes_(shape_.block_bytes()),
        slots_offset_(shape_.slots_offset()) {
    for (size_t i = 0; i < std::min(kListsAhead, which_.size()); ++i) {
      PrefetchDescriptor(lists_, which_[i].slot);
    }
  }

  // The next runs, as many as a batch holds.
  void FindCodes(Batch* batch) {
    batch->size = 0;
    if (batch->codes.size() < terms().size()) batch->codes.resize(terms().size());
    for (; at_ < which_.size(); ++at_, block_ = 0) {
      const InvertedList& list = lists_.list(which_[at_].slot);
      if (block_ == 0 && at_ + kListsAhead < which_.size()) {
        PrefetchDescriptor(lists_, which_[at_ + kListsAhead].slot);
      }
      for (; block_ < list.num_blocks; block_ += CodeRun::kMostBlocks) {
        if (batch->size == kRuns) return;
        AddRun(*list.blocks_owner, list.blocks + block_ * block_bytes_,
               std::min<size_t>(list.num_blocks - block_, CodeRun::kMostBlocks), batch);
      }
      if (list.tail == nullptr) continue;
      if (batch->size == kRuns) return;
      AddRun(*list.tail_owner, list.tail, 1, batch);
    }
  }

  void CompareFirst(Batch* batch) const {
    batch->num_found = CodeMatches({batch->runs.data(), batch->size}, terms()[0].test->possible,
                                   batch->found.data());
    if (!HasOthers()) return FetchSlots(*batch);
    for (size_t i = 0; i < batch->num_found; ++i) {
      for (size_t t = 1; t < terms().size(); ++t) PrefetchFar(CodeOf(*batch, t, batch->found[i]));
    }
  }

  // Whether the filter has other terms than its first.
  bool HasOthers() const { return terms().size() > 1; }

  // Leaves those that the codes of the other terms do not rule out.
  void CompareOthers(Batch* batch) const {
    for (size_t t = 1; t < terms().size(); ++t) {
      const EntryTest& test = *terms()[t].test;
      const CodeSet& some = terms()[t].negated ? test.certain : test.possible;
      size_t kept = 0;
      for (size_t i = 0; i < batch->num_found; ++i) {
        const uint32_t found = batch->found[i];
        batch->found[kept] = found;
        kept += some.Contains(*CodeOf(*batch, t, found)) != terms()[t].negated ? 1 : 0;
      }
      batch->num_found = kept;
    }
    FetchSlots(*batch);
  }

  void ReadSlots(const Batch& batch, std::vector<Slot>* slots) const {
    for (size_t i = 0; i < batch.num_found; ++i) {
      const uint32_t found = batch.found[i];
      const Slot slot = *SlotOf(batch, found);
      if (!Allows(batch, found, slot)) continue;
      if (deleted_.size() > 0 && deleted_.Contains(slot)) continue;
      slots->push_back(slot);
    }
  }

 private:
  // Descriptors of lists are fetched so far ahead.
  static constexpr size_t kListsAhead = kRuns;

  void AddRun(const BlockMemory& memory, const uint8_t* blocks, size_t num_blocks, Batch* batch) {
    const size_t run = batch->size++;
    for (size_t t = 0; t < terms().size(); ++t) {
      TermCodes& codes = batch->codes[t];
      Grow(codes.scratch, kRuns * CodeRun::kMostCodes);
      codes.of_run[run] = memory.Codes(terms()[t].test->codes, shape_, blocks, num_blocks,
                                       codes.scratch.data() + run * CodeRun::kMostCodes);
    }
    const uint16_t* first = batch->codes[0].of_run[run];
    for (size_t b = 0; b < num_blocks; ++b) PrefetchFar(first + b * kCodeSetBlock);
    batch->runs[run] = {first, static_cast<uint32_t>(num_blocks)};
    batch->blocks[run] = blocks;
  }

  // Always inlined, for the reason that prefetch.h has.
  [[gnu::always_inline]] void FetchSlots(const Batch& batch) const {
    for (size_t i = 0; i < batch.num_found; ++i) PrefetchFar(SlotOf(batch, batch.found[i]));
  }

  const std::vector<EntryFilter::Term>& terms() const { return filter_.terms; }

  // Of a found entry, by the t-th term.
  static const uint16_t* CodeOf(const Batch& batch, size_t t, uint32_t found) {
    return batch.codes[t].of_run[found / CodeRun::kMostCodes] + found % CodeRun::kMostCodes;
  }

  // What the codes alone have left open.
  bool Allows(const Batch& batch, uint32_t found, Slot slot) const {
    for (size_t t = 0; t < terms().size(); ++t) {
      const EntryTest& test = *terms()[t].test;
      if (test.some.empty()) continue;
      if (test.Holds(slot, *CodeOf(batch, t, found)) == terms()[t].negated) return false;
    }
    return true;
  }

  const Slot* SlotOf(const Batch& batch, uint32_t found) const {
    const uint32_t code = found % CodeRun::kMostCodes;
    const uint8_t* block =
        batch.blocks[found / CodeRun::kMostCodes] + code / kCodeSetBlock * block_bytes_;
    return reinterpret_cast<const Slot*>(block + slots_offset_) + code % kCodeSetBlock;
  }

  const ListsSnapshot& lists_;
  const std::span<const Neighbor> which_;
  const EntryFilter& filter_;
  const SlotSet& deleted_;
  const LutScanShape shape_;
  const size_t block_bytes_;
  const size_t slots_offset_;  // in a block
  size_t at_ = 0;              // the list whose blocks come next
  size_t block_ = 0;           // and which of them
};

void EntryGatherer::Gather(const ListsSnapshot& lists, std::span<const Neighbor> which,
                           const EntryFilter& filter, const SlotSet& deleted,
                           std::vector<Slot>* slots, Appended appended) {
  Pass pass(lists, which, filter, deleted);
  // Each round begins a batch, while there is one, and takes those before it one step further.
  const size_t last_step = pass.HasOthers() ? 3 : 2;
  const auto batch = [&](size_t i) -> Batch& { return batches_[i % (last_step + 1)]; };
  size_t left = 0;  // batches that are under way
  for (size_t round = 0; round == 0 || left > 0; ++round) {
    pass.FindCodes(&batch(round));
    left += batch(round).size > 0 ? 1 : 0;
    if (round >= 1) pass.CompareFirst(&batch(round - 1));
    if (round >= 2 && pass.HasOthers()) pass.CompareOthers(&batch(round - 2));
    if (round < last_step) continue;
    const Batch& last = batch(round - last_step);
    const size_t before = slots->size();
    pass.ReadSlots(last, slots);
    appended(std::span<const Slot>(*slots).subspan(before));
    left -= last.size > 0 ? 1 : 0;
  }
}

}  // namespace tessera
