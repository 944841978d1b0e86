#ifndef TESSERA_INDEX_BASE_ENTRY_FILTER_H_
#define TESSERA_INDEX_BASE_ENTRY_FILTER_H_

#include <algorithm>
#include <memory>
#include <vector>

#include "index/base/code_set.h"
#include "index/base/slot_codes.h"
#include "index/base/types.h"

namespace tessera {

// A condition on the entries of the lists, told by their slots' codes, so that only the lists that
// are scanned cost anything. Immutable and thread-safe once it is finished.
struct EntryTest {
  std::shared_ptr<const SlotCodes> codes;
  CodeSet certain;         // entries with these codes meet it
  CodeSet possible;        // those with others than these do not; all of `certain` are in it
  std::vector<Slot> some;  // that meet it and whose code is possible and not certain; sorted

  bool HoldsPossible(Slot slot) const { return std::binary_search(some.begin(), some.end(), slot); }
  bool Holds(Slot slot, uint16_t code) const {
    return certain.Contains(code) ||
           (!some.empty() && possible.Contains(code) && HoldsPossible(slot));
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

// Which entries are allowed: those that meet every term. Immutable and thread-safe once it is
// filled.
struct EntryFilter {
  struct Term {
    std::shared_ptr<const EntryTest> test;
    bool negated = false;  // met by entries that do not meet the test
  };

  // At least one. The first is not negated, and best the one that fewest entries meet.
  std::vector<Term> terms;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_ENTRY_FILTER_H_
