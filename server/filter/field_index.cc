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

// Slots whose codes do not tell: more cost as much to sort and to look up as they save.
constexpr size_t kSomeSlots = 4'096;

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
        tree_.emplace<PostingTree<Key>>(entries);
      },
      column.entries);
  SetSingleValued();
  MakeCodes();
}

void FieldIndex::MakeCodes() {
  std::visit(
      [&]<class Key>(const PostingTree<Key>& tree) {
        codes_ = std::make_shared<ValueCodes<Key>>(tree);
      },
      tree_);
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
        const auto& tree = changed->tree_.template emplace<PostingTree<Key>>(
            std::get<PostingTree<Key>>(tree_).With(out, in));
        const auto& codes = std::get<std::shared_ptr<ValueCodes<Key>>>(codes_);
        codes->Add(added.covered, in);
        changed->codes_ = codes->IsCrowded() ? std::make_shared<ValueCodes<Key>>(tree) : codes;
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

std::shared_ptr<const FieldIndex> FieldIndex::Without(const Roaring& slots) const {
  auto changed = std::shared_ptr<FieldIndex>(new FieldIndex(*this));
  std::visit([&](auto& tree) { tree = tree.Without(slots); }, changed->tree_);
  for (Bitmap* bitmap : {&changed->covered_, &changed->exists_, &changed->valued_, &changed->nulls_,
                         &changed->others_}) {
    if ((*bitmap)->intersect(slots)) *bitmap = std::make_shared<const Roaring>(**bitmap - slots);
  }
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

std::shared_ptr<const EntryTest> FieldIndex::AnswerByCodes(const FieldTest& test) const {
  auto told = std::make_shared<EntryTest>();
  const std::optional<Held> held = HeldBy(test, told.get());
  if (!held.has_value()) return nullptr;
  std::visit([&](const auto& codes) { told->codes = codes->codes(); }, codes_);
  if (told->some.size() > kSomeSlots) return nullptr;
  told->Finish();
  return told;
}

template <class Key, class Before, class After>
void FieldIndex::AddRange(const Before& before, const After& after, Held* held) const {
  const auto& tree = std::get<PostingTree<Key>>(tree_);
  if (held->codes == nullptr) return tree.AddRange(before, after, &held->slots);
  std::get<std::shared_ptr<ValueCodes<Key>>>(codes_)->AllowRange(tree, before, after, held->codes);
}

// The slots of the keys that lie within the bounds.
template <class Key>
void FieldIndex::AddWithin(const Bounds<Key>& bounds, Held* held) const {
  AddRange<Key>([&](Key key) { return OutOfBounds(bounds, key, true); },
                [&](Key key) { return OutOfBounds(bounds, key, false); }, held);
}

template <class Key>
void FieldIndex::AddListed(const std::vector<Key>& listed, bool except, Held* held) const {
  const auto& tree = std::get<PostingTree<Key>>(tree_);
  if (!except) {
    for (const Key& key : listed) {
      if (held->codes != nullptr) {
        std::get<std::shared_ptr<ValueCodes<Key>>>(codes_)->AllowKey(tree, key, held->codes);
      } else if (const Posting* posting = tree.Find(key)) {
        held->slots.Add(*posting);
      }
    }
    return;
  }
  // What lies before, between and after the values that are listed.
  for (size_t i = 0; i <= listed.size(); ++i) {
    AddRange<Key>([&](const Key& key) { return i > 0 && key <= listed[i - 1]; },
                  [&](const Key& key) { return i < listed.size() && key >= listed[i]; }, held);
  }
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const FieldTest& test, EntryTest* codes) const {
  const Held held{.codes = codes};
  if (const auto* match = std::get_if<Match>(&test)) return HeldBy(*match, held);
  if (const auto* range = std::get_if<NumberRange>(&test)) return HeldBy(*range, held);
  if (const auto* range = std::get_if<DatetimeRange>(&test)) return HeldBy(*range, held);
  if (const auto* prefix = std::get_if<Prefix>(&test)) return HeldBy(*prefix, held);
  return std::nullopt;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const Match& match, Held held) const {
  const bool keywords = !match.keywords.empty();
  const bool integers = !match.integers.empty();
  const bool bools = !match.bools.empty();
  // Integers beyond 64 bits match nothing, so the values of other types are all that is open.
  switch (spec_.type) {
    case PayloadIndexType::kKeyword:
      AddListed(match.keywords, match.except && keywords, &held);
      held.others = integers || bools;
      break;
    case PayloadIndexType::kInteger:
      AddListed(match.integers, match.except && integers, &held);
      held.others = keywords || bools;
      break;
    case PayloadIndexType::kBool: {
      const std::vector<int64_t> listed(match.bools.begin(), match.bools.end());
      AddListed(listed, match.except && bools, &held);
      held.others = keywords || integers;
      break;
    }
    case PayloadIndexType::kFloat:
    case PayloadIndexType::kDatetime:
      return std::nullopt;
  }
  return held;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const NumberRange& range, Held held) const {
  held.others = true;
  if (spec_.type == PayloadIndexType::kFloat) {
    AddWithin(BoundsOfDoubles(range.bounds), &held);
  }
  if (spec_.type == PayloadIndexType::kInteger) {
    AddWithin(BoundsOfIntegers(range.bounds), &held);
  }
  return held;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const DatetimeRange& range, Held held) const {
  if (spec_.type == PayloadIndexType::kKeyword) return std::nullopt;
  held.others = spec_.type != PayloadIndexType::kDatetime;
  if (!held.others) AddWithin(range.bounds, &held);
  return held;
}

std::optional<FieldIndex::Held> FieldIndex::HeldBy(const Prefix& prefix, Held held) const {
  if (spec_.type == PayloadIndexType::kDatetime) return std::nullopt;
  held.others = spec_.type != PayloadIndexType::kKeyword;
  if (held.others) return held;
  const std::string& text = prefix.text;
  AddRange<std::string>(
      [&](const std::string& key) { return key < text; },
      [&](const std::string& key) { return key > text && !key.starts_with(text); }, &held);
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
  bytes += std::visit([](const auto& codes) { return codes->memory_bytes(); }, codes_);
  for (const Bitmap* bitmap : {&covered_, &exists_, &valued_, &nulls_, &others_}) {
    bytes += (*bitmap)->getSizeInBytes();
  }
  return bytes;
}

}  // namespace tessera
