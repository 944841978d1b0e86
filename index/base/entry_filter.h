#ifndef TESSERA_INDEX_BASE_ENTRY_FILTER_H_
#define TESSERA_INDEX_BASE_ENTRY_FILTER_H_

#include <algorithm>
#include <memory>
#include <vector>

#include "index/base/code_set.h"
#include "index/base/slot_codes.h"
#include "index/base/types.h"

namespace tessera {

// Which entries of the lists are allowed, told by their slots' codes, so that only the lists that
// are scanned cost anything. Immutable and thread-safe once it is finished.
struct EntryFilter {
  std::shared_ptr<const SlotCodes> codes;
  CodeSet certain;         // with these codes entries are allowed
  CodeSet possible;        // with others than these they are not; all of `certain` are in it
  std::vector<Slot> some;  // of the slots with a code that is possible and not certain; sorted

  bool AllowsPossible(Slot slot) const {
    return std::binary_search(some.begin(), some.end(), slot);
  }
  // To be called when all are inserted: of `possible`, only what is not in `certain` need be.
  void Finish() {
    certain.Finish();
    if (some.empty()) possible = CodeSet();
    for (const CodeSet::Range& range : certain.ranges()) possible.Insert(range.first, range.last);
    possible.Finish();
    std::sort(some.begin(), some.end());
  }
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_ENTRY_FILTER_H_
