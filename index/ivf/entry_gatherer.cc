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

  void Compare(Batch* batch) const {
    batch->num_found =
        CodeMatches({batch->runs.data(), batch->size}, filter_.possible, batch->found.data());
    for (size_t i = 0; i < batch->num_found; ++i) PrefetchFar(SlotOf(*batch, batch->found[i]));
  }

  void ReadSlots(const Batch& batch, std::vector<Slot>* slots) const {
    for (size_t i = 0; i < batch.num_found; ++i) {
      const uint32_t found = batch.found[i];
      const Slot slot = *SlotOf(batch, found);
      if (!filter_.some.empty()) {
        const uint16_t code =
            batch.runs[found / CodeRun::kMostCodes].codes[found % CodeRun::kMostCodes];
        if (!filter_.certain.Contains(code) && !filter_.AllowsPossible(slot)) continue;
      }
      if (deleted_.size() > 0 && deleted_.Contains(slot)) continue;
      slots->push_back(slot);
    }
  }

 private:
  // Descriptors of lists are fetched so far ahead.
  static constexpr size_t kListsAhead = kRuns;

  void AddRun(const BlockMemory& memory, const uint8_t* blocks, size_t num_blocks, Batch* batch) {
    const size_t run = batch->size++;
    const uint16_t* codes = memory.Codes(filter_.codes, shape_, blocks, num_blocks,
                                         batch->scratch.data() + run * CodeRun::kMostCodes);
    for (size_t b = 0; b < num_blocks; ++b) PrefetchFar(codes + b * kCodeSetBlock);
    batch->runs[run] = {codes, static_cast<uint32_t>(num_blocks)};
    batch->blocks[run] = blocks;
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
  const auto batch = [this](size_t i) -> Batch& { return batches_[i % batches_.size()]; };
  // Each round begins a batch, while there is one, and takes the two before it one step further.
  for (size_t round = 0;; ++round) {
    pass.FindCodes(&batch(round));
    if (round >= 1) pass.Compare(&batch(round - 1));
    if (round >= 2) {
      const size_t before = slots->size();
      pass.ReadSlots(batch(round - 2), slots);
      appended(std::span<const Slot>(*slots).subspan(before));
    }
    if (batch(round).size == 0 && (round == 0 || batch(round - 1).size == 0)) return;
  }
}

}  // namespace tessera
