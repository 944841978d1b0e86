#ifndef TESSERA_INDEX_IVF_ENTRY_GATHERER_H_
#define TESSERA_INDEX_IVF_ENTRY_GATHERER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "index/base/buffer.h"
#include "index/base/entry_filter.h"
#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/simd/code_lanes.h"

namespace tessera {

class ListsSnapshot;

// Collects the slots of allowed entries of some lists, in the order of the lists. It goes through
// them some runs of blocks at a time and in four steps, each of which has what the next one reads
// come into the cache meanwhile: codes are found, those of the filter's first term are compared,
// then those of its other terms if it has any, slots are read.
//
// Keeps its memory from one use to the next; not thread-safe.
class EntryGatherer {
 public:
  // Told of slots that have just been appended: for who reads what belongs to them.
  using Appended = absl::FunctionRef<void(std::span<const Slot>)>;

  // Appends to `slots`.
  void Gather(const ListsSnapshot& lists, std::span<const Neighbor> which,
              const EntryFilter& filter, const SlotSet& deleted, std::vector<Slot>* slots,
              Appended appended);

 private:
  static constexpr size_t kRuns = 32;

  // The codes of runs, by one term.
  struct TermCodes {
    std::array<const uint16_t*, kRuns> of_run;
    AlignedBuffer<uint16_t> scratch;  // codes that are kept nowhere, for each run
  };
  // Runs that go through the steps together.
  struct Batch {
    Batch() : found(kRuns * CodeRun::kMostCodes + kCodeMatchesSlack) {}

    size_t size = 0;                           // runs
    std::array<CodeRun, kRuns> runs;           // by the first term
    std::array<const uint8_t*, kRuns> blocks;  // of each run
    std::vector<TermCodes> codes;              // by term
    size_t num_found = 0;
    AlignedBuffer<uint32_t> found;  // as CodeMatches tells them
  };
  // One call of Gather.
  class Pass;

  std::array<Batch, 4> batches_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_ENTRY_GATHERER_H_
