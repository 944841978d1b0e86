#ifndef TESSERA_SERVER_FILTER_PAYLOAD_INDEXES_H_
#define TESSERA_SERVER_FILTER_PAYLOAD_INDEXES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/filter/field_index.h"
#include "server/filter/filter.h"

namespace tessera {

// One field's index as a collection holds it. Immutable.
struct IndexedField {
  std::shared_ptr<const FieldIndex> index;
  bool ready = false;  // else it is being built, and holds only what was written since
  // While it is built: slots whose points have gone since the building began.
  std::shared_ptr<const Roaring> removed;
  uint64_t added_generation = 0;  // tells it from one that was dropped and created again
};

// The payload indexes of a collection at one moment, by field.
struct PayloadIndexes {
  std::map<std::string, IndexedField> fields;
  uint64_t generation = 0;  // changes when fields come or go

  size_t memory_bytes() const;
};

struct IndexedAnswer {
  SlotAnswer slots;
  std::vector<std::string> unindexed;  // keys that had to be left open, each once
};

// Which slots match the filter, as far as the indexes know. `universe` holds every live slot;
// `slots_of` gives the slots of the points of these ids that are there.
using SlotsOfIds = std::function<absl::StatusOr<Roaring>(const std::vector<FilterId>&)>;
absl::StatusOr<IndexedAnswer> AnswerByIndexes(const PayloadIndexes& indexes, const Filter& filter,
                                              const Roaring& universe, const SlotsOfIds& slots_of);

// The slots that match, as parts of an index that have none in common, where one index alone tells;
// else nullopt.
std::optional<SlotParts> AnswerByOneIndex(const PayloadIndexes& indexes, const Filter& filter);
// For such a filter, what tells its slots by their codes. Null if nothing does.
std::shared_ptr<const EntryFilter> CodesByOneIndex(const PayloadIndexes& indexes,
                                                   const Filter& filter);

// The slots that match a filter of several conditions, all of which must be met or must not be, and
// each of which one index tells as in AnswerByOneIndex.
struct TermsAnswer {
  SlotParts first;                           // the slots that meet the condition that fewest meet
  std::vector<EntryFilter::Term> others;     // the other conditions
  std::shared_ptr<const EntryFilter> codes;  // all of them; null if codes do not tell the first
};
// nullopt if the filter is of another kind, codes do not tell one of the others, or more slots than
// `first_max` meet the first.
std::optional<TermsAnswer> AnswerByTerms(const PayloadIndexes& indexes, const Filter& filter,
                                         uint64_t first_max);

// The indexes without the points in these slots, which were there before.
std::shared_ptr<const PayloadIndexes> WithoutSlots(const PayloadIndexes& indexes,
                                                   const Roaring& slots);

// The indexes with one more field, which is to be built.
std::shared_ptr<const PayloadIndexes> WithBuilding(const PayloadIndexes& indexes,
                                                   const PayloadIndexSpec& spec);
// The indexes with a field's index, of `column` and what was written since it was added.
std::shared_ptr<const PayloadIndexes> WithBuilt(const PayloadIndexes& indexes,
                                                const std::string& key, FieldColumn column);
// The indexes with a field's index as it is, for points that nobody has written since it was made.
std::shared_ptr<const PayloadIndexes> WithReady(const PayloadIndexes& indexes,
                                                std::shared_ptr<const FieldIndex> index);
std::shared_ptr<const PayloadIndexes> WithoutField(const PayloadIndexes& indexes,
                                                   const std::string& key);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_PAYLOAD_INDEXES_H_
