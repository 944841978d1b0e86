#include "server/filter/field_index.h"

#include <algorithm>
#include <utility>

#include "server/filter/number_bounds.h"
#include "server/filter/slots_of.h"

namespace tessera {
namespace {

std::shared_ptr<const Roaring> MakeBitmap(const std::vector<Slot>& slots) {
  auto bitmap = std::make_shared<Roaring>(slots.size(), slots.data());
  bitmap->runOptimize();
  return bitmap;
}

std::shared_ptr<const Roaring> Changed(const std::shared_ptr<const Roaring>& bitmap,
                                       const std::vector<Slot>& removed,
                                       const std::vector<Slot>& added) {
  if (removed.empty() && added.empty()) return bitmap;
  auto changed = std::make_shared<Roaring>(*bitmap);
  for (Slot slot : removed) changed->remove(slot);
  changed->addMany(added.size(), added.data());
  return changed;
}

template <class Key>
bool OutOfBounds(const Bounds<Key>& bounds, Key key, bool below) {
  if (below) return (bounds.gt && key <= *bounds.gt) || (bounds.gte && key < *bounds.gte);
  return (bounds.lt && key >= *bounds.lt) || (bounds.lte && key > *bounds.lte);
}

// The slots of the keys that lie within the bounds.
template <class Key>
void AddWithin(const PostingTree<Key>& tree, const Bounds<Key>& bounds, SlotParts* slots) {
  tree.AddRange([&](Key key) { return OutOfBounds(bounds, key, true); },
                [&](Key key) { return OutOfBounds(bounds, key, false); }, slots);
}

}  // namespace

FieldIndex::FieldIndex(const PayloadIndexSpec& spec, const FieldColumn& column)
    : spec_(spec),
      covered_(MakeBitmap(column.covered)),
      exists_(MakeBitmap(column.exists)),
      valued_(MakeBitmap(column.valued)),
      nulls_(MakeBitmap(column.nulls)),
      others_(MakeBitmap(column.others)) {
  std::visit(
      [&](const auto& entries) {
        using Key = typename std::decay_t<decltype(entries)>::value_type::first_type;
        tree_ = PostingTree<Key>(entries);
      },
      column.entries);
  SetSingleValued();
}

// At least as many slots have a value in the tree as are valued and have no other: if that many
// entries are all there are, no slot has two.
void FieldIndex::SetSingleValued() {
  const uint64_t entries = std::visit([](const auto& tree) { return tree.entries(); }, tree_);
  single_valued_ = entries + others_->cardinality() == valued_->cardinality();
}

std::shared_ptr<const FieldIndex> FieldIndex::With(const FieldColumn& removed,
                                                   const FieldColumn& added) const {
  auto changed = std::shared_ptr<FieldIndex>(new FieldIndex);
  changed->spec_ = spec_;
  std::visit(
      [&](const auto& out) {
        using Entries = std::decay_t<decltype(out)>;
        using Key = typename Entries::value_type::first_type;
        const Entries& in = std::get<Entries>(added.entries);
        changed->tree_ = std::get<PostingTree<Key>>(tree_).With(out, in);
      },
      removed.entries);
  changed->covered_ = Changed(covered_, removed.covered, added.covered);
  changed->exists_ = Changed(exists_, removed.exists, added.exists);
  changed->valued_ = Changed(valued_, removed.valued, added.valued);
  changed->nulls_ = Changed(nulls_, removed.nulls, added.nulls);
  changed->others_ = Changed(others_, removed.others, added.others);
  changed->SetSingleValued();
  return changed;
}

FieldColumn FieldIndex::Column() const {
  FieldColumn column(spec_.type);
  std::visit(
      [&](auto& entries) {
        using Key = typename std::decay_t<decltype(entries)>::value_type::first_type;
        std::get<PostingTree<Key>>(tree_).ForEach([&](const Key& key, const Posting& posting) {
          Roaring slots;
          posting.AddTo(&slots);
          for (Slot slot : slots) entries.emplace_back(key, slot);
        });
      },
      column.entries);
  column.covered = SlotsOf(*covered_);
  column.exists = SlotsOf(*exists_);
  column.valued = SlotsOf(*valued_);
  column.nulls = SlotsOf(*nulls_);
  column.others = SlotsOf(*others_);
  return column;
}

SlotAnswer FieldIndex::Answer(const FieldTest& test) const {
  SlotAnswer answer;
  if (const std::optional<Held> held = HeldBy(test)) {
    answer.certain = held->slots.Union();
    // Of a number that no double holds, the entry is not the value.
    if (spec_.type == PayloadIndexType::kFloat) answer.certain -= *others_;
    if (held->others) answer.open = *others_ - answer.certain;
  } else if (const auto* presence = std::get_if<Presence>(&test)) {
    answer = AnswerPresence(*presence);
  } else if (const auto* count = std::get_if<ValuesCount>(&test)) {
    answer.open = *valued_;
    if (count->bounds.Contain(0)) answer.certain = *covered_ - *valued_;
  } else {
    answer.open = *valued_;
  }
  return answer;
}

std::optional<SlotParts> FieldIndex::AnswerByParts(const FieldTest& test) const {
  if (!single_valued_) return std::nullopt;
  std::optional<Held> held = HeldBy(test);
  if (!held.has_value() || (held->others && !others_->isEmpty())) return std::nullopt;
  return std::move(held->slots);
}

template <class Key>
void FieldIndex::AddListed(const std::vector<Key>& listed, bool except, SlotParts* slots) const {
  const auto& tree = std::get<PostingTree<Key>>(tree_);
  if (!except) {
    for (const Key& key : listed) {
      if (const Posting* posting = tree.Find(key)) slots->Add(*posting);
    }
    return;
  }
  // What lies before, between and after the values that are listed.
  for (size_t i = 0; i <= listed.size(); ++i) {
    tree.AddRange([&](const Key& key) { return i > 0 && key <= listed[i - 1]; },
                  [&](const Key& key) { return i < listed.size() && key >= listed[i]; }, slots);
  }
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const FieldTest& test) const {
  if (const auto* match = std::get_if<Match>(&test)) return HeldBy(*match);
  if (const auto* range = std::get_if<NumberRange>(&test)) return HeldBy(*range);
  if (const auto* range = std::get_if<DatetimeRange>(&test)) return HeldBy(*range);
  if (const auto* prefix = std::get_if<Prefix>(&test)) return HeldBy(*prefix);
  return std::nullopt;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const Match& match) const {
  Held held;
  const bool keywords = !match.keywords.empty();
  const bool integers = !match.integers.empty();
  const bool bools = !match.bools.empty();
  // Integers beyond 64 bits match nothing, so the values of other types are all that is open.
  switch (spec_.type) {
    case PayloadIndexType::kKeyword:
      AddListed(match.keywords, match.except && keywords, &held.slots);
      held.others = integers || bools;
      break;
    case PayloadIndexType::kInteger:
      AddListed(match.integers, match.except && integers, &held.slots);
      held.others = keywords || bools;
      break;
    case PayloadIndexType::kBool: {
      const std::vector<int64_t> listed(match.bools.begin(), match.bools.end());
      AddListed(listed, match.except && bools, &held.slots);
      held.others = keywords || integers;
      break;
    }
    case PayloadIndexType::kFloat:
    case PayloadIndexType::kDatetime:
      return std::nullopt;
  }
  return held;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const NumberRange& range) const {
  Held held;
  held.others = true;
  if (const auto* floats = std::get_if<PostingTree<double>>(&tree_)) {
    AddWithin(*floats, BoundsOfDoubles(range.bounds), &held.slots);
  }
  if (spec_.type == PayloadIndexType::kInteger) {
    AddWithin(std::get<PostingTree<int64_t>>(tree_), BoundsOfIntegers(range.bounds), &held.slots);
  }
  return held;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const DatetimeRange& range) const {
  if (spec_.type == PayloadIndexType::kKeyword) return std::nullopt;
  Held held;
  held.others = spec_.type != PayloadIndexType::kDatetime;
  if (!held.others) AddWithin(std::get<PostingTree<int64_t>>(tree_), range.bounds, &held.slots);
  return held;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const Prefix& prefix) const {
  if (spec_.type == PayloadIndexType::kDatetime) return std::nullopt;
  Held held;
  const auto* tree = std::get_if<PostingTree<std::string>>(&tree_);
  held.others = tree == nullptr;
  if (held.others) return held;
  const std::string& text = prefix.text;
  tree->AddRange([&](const std::string& key) { return key < text; },
                 [&](const std::string& key) { return key > text && !key.starts_with(text); },
                 &held.slots);
  return held;
}

SlotAnswer FieldIndex::AnswerPresence(Presence presence) const {
  switch (presence) {
    case Presence::kExists:
      return {.certain = *exists_};
    case Presence::kIsNull:
      return {.certain = *nulls_};
    case Presence::kIsEmpty:
      return {.certain = *covered_ - *valued_};
  }
  return {.open = *covered_};
}

size_t FieldIndex::memory_bytes() const {
  size_t bytes = std::visit([](const auto& tree) { return tree.memory_bytes(); }, tree_);
  for (const Bitmap* bitmap : {&covered_, &exists_, &valued_, &nulls_, &others_}) {
    bytes += (*bitmap)->getSizeInBytes();
  }
  return bytes;
}

}  // namespace tessera
