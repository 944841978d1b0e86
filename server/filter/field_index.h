#ifndef TESSERA_SERVER_FILTER_FIELD_INDEX_H_
#define TESSERA_SERVER_FILTER_FIELD_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <roaring/roaring.hh>
#include <string>
#include <type_traits>
#include <variant>

#include "server/filter/field_column.h"
#include "server/filter/filter.h"
#include "server/filter/posting_tree.h"
#include "server/filter/slot_answer.h"
#include "server/filter/value_codes.h"

namespace tessera {

// The index of one field of the payload: which slots hold which values. Immutable and thread-safe;
// a change makes a new one, which shares with the old one what did not change.
class FieldIndex {
 public:
  // The column is sorted.
  FieldIndex(const PayloadIndexSpec& spec, const FieldColumn& column);

  const PayloadIndexSpec& spec() const { return spec_; }
  // All slots that it knows of.
  const Roaring& covered() const { return *covered_; }

  // Without `removed`, then with `added`: sorted columns of this index's spec.
  std::shared_ptr<const FieldIndex> With(const FieldColumn& removed,
                                         const FieldColumn& added) const;

  // Without these slots, whatever it holds of them.
  std::shared_ptr<const FieldIndex> Without(const Roaring& slots) const;

  // All that it holds, sorted: the column that it would be made from.
  FieldColumn Column() const;

  // Which slots meet a condition on this field. Never leaves open what the type of index decides.
  SlotAnswer Answer(const FieldTest& test) const;
  // The same as parts that have no slot in common; nullopt where something is open, or parts are
  // not so.
  std::optional<SlotParts> AnswerByParts(const FieldTest& test) const;
  // The same, told by codes of slots that have points: only where there are parts. Null where too
  // many slots' codes do not tell.
  std::shared_ptr<const EntryTest> AnswerByCodes(const FieldTest& test) const;

  // Calls visit(value, slots) for each value, in order. Bools are the integers 0 and 1.
  using Value = std::variant<int64_t, double, std::string>;
  template <class Visit>
  void ForEachValue(const Visit& visit) const {
    std::visit([&](const auto& tree) { tree.ForEach(visit); }, tree_);
  }
  // Calls visit(value, slots) for each value, up or down from `from`, which is of this index's type
  // and may come itself (nothing: from the end), until it returns false. With `within`, values that
  // none of those slots has may be left out.
  template <class Visit>
  void Walk(bool descending, const std::optional<Value>& from, const Roaring* within,
            const Visit& visit) const {
    std::visit(
        [&](const auto& tree) {
          using Key = typename std::decay_t<decltype(tree)>::Entry::first_type;
          tree.Walk(descending, from.has_value() ? &std::get<Key>(*from) : nullptr, within, visit);
        },
        tree_);
  }
  // Slots in which the key leads somewhere, and to null.
  const Roaring& exists() const { return *exists_; }
  const Roaring& nulls() const { return *nulls_; }
  // Slots that hold some value but null.
  const Roaring& valued() const { return *valued_; }
  // Slots that hold some value but null that is not among the values, or not as it is.
  const Roaring& others() const { return *others_; }

  size_t memory_bytes() const;

 private:
  friend class FieldContentsReader;
  using Bitmap = std::shared_ptr<const Roaring>;
  FieldIndex() = default;

  // What the values of this index say of a test, and whether those of other types may meet it.
  struct Held {
    SlotParts slots;
    bool others = false;
    EntryTest* codes = nullptr;  // if set, these are asked for instead of slots
  };
  // nullopt: the test is of something else than the values that this index holds.
  std::optional<Held> HeldBy(const FieldTest& test, EntryTest* codes = nullptr) const;
  std::optional<Held> HeldBy(const Match& match, Held held) const;
  std::optional<Held> HeldBy(const NumberRange& range, Held held) const;
  std::optional<Held> HeldBy(const DatetimeRange& range, Held held) const;
  std::optional<Held> HeldBy(const Prefix& prefix, Held held) const;
  SlotAnswer AnswerPresence(Presence presence) const;
  template <class Key>
  void AddListed(const std::vector<Key>& listed, bool except, Held* held) const;
  template <class Key, class Before, class After>
  void AddRange(const Before& before, const After& after, Held* held) const;
  template <class Key>
  void AddWithin(const Bounds<Key>& bounds, Held* held) const;
  // Of the tree.
  void MakeCodes();
  void SetSingleValued();

  PayloadIndexSpec spec_;
  std::variant<PostingTree<int64_t>, PostingTree<double>, PostingTree<std::string>> tree_;
  // Of its version and of those before it.
  std::variant<std::shared_ptr<ValueCodes<int64_t>>, std::shared_ptr<ValueCodes<double>>,
               std::shared_ptr<ValueCodes<std::string>>>
      codes_;
  Bitmap covered_, exists_, valued_, nulls_, others_;  // as in FieldColumn
  bool single_valued_ = true;                          // no slot is known to have two values
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_FIELD_INDEX_H_
