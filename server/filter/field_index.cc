#include "server/filter/field_index.h"

#include <algorithm>
#include <utility>

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

// The slots of the keys that, as doubles or times, lie within the bounds.
template <class Tree, class Bound>
void AddWithin(const Tree& tree, const Bounds<Bound>& bounds, Roaring* slots) {
  tree.AddRange(
      [&](const auto& key) { return OutOfBounds(bounds, static_cast<Bound>(key), true); },
      [&](const auto& key) { return OutOfBounds(bounds, static_cast<Bound>(key), false); }, slots);
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
  return std::visit([&](const auto& kind) { return AnswerTest(kind); }, test);
}

template <class Key>
void FieldIndex::AddListed(const std::vector<Key>& listed, bool except, Roaring* slots) const {
  const auto& tree = std::get<PostingTree<Key>>(tree_);
  if (!except) {
    std::vector<const Posting*> postings;
    for (const Key& key : listed) {
      if (const Posting* posting = tree.Find(key)) postings.push_back(posting);
    }
    *slots |= UnionOf(postings);
    return;
  }
  // What lies before, between and after the values that are listed.
  for (size_t i = 0; i <= listed.size(); ++i) {
    tree.AddRange([&](const Key& key) { return i > 0 && key <= listed[i - 1]; },
                  [&](const Key& key) { return i < listed.size() && key >= listed[i]; }, slots);
  }
}

SlotAnswer FieldIndex::AnswerTest(const Match& match) const {
  SlotAnswer answer;
  const bool keywords = !match.keywords.empty();
  const bool integers = !match.integers.empty();
  const bool bools = !match.bools.empty();
  bool other_types = false;  // values are asked for that this index does not hold
  switch (spec_.type) {
    case PayloadIndexType::kKeyword:
      AddListed(match.keywords, match.except && keywords, &answer.certain);
      other_types = integers || bools;
      break;
    case PayloadIndexType::kInteger:
      AddListed(match.integers, match.except && integers, &answer.certain);
      other_types = keywords || bools;
      break;
    case PayloadIndexType::kBool: {
      const std::vector<int64_t> listed(match.bools.begin(), match.bools.end());
      AddListed(listed, match.except && bools, &answer.certain);
      other_types = keywords || integers;
      break;
    }
    case PayloadIndexType::kFloat:
    case PayloadIndexType::kDatetime:
      return Undecided(*valued_);
  }
  // Integers beyond 64 bits match nothing, so the values of other types are all that is open.
  if (other_types) answer.open = *others_ - answer.certain;
  return answer;
}

SlotAnswer FieldIndex::AnswerTest(const NumberRange& range) const {
  SlotAnswer answer;
  if (const auto* floats = std::get_if<PostingTree<double>>(&tree_)) {
    AddWithin(*floats, range.bounds, &answer.certain);
    return answer;
  }
  if (spec_.type == PayloadIndexType::kInteger) {
    AddWithin(std::get<PostingTree<int64_t>>(tree_), range.bounds, &answer.certain);
  }
  answer.open = *others_ - answer.certain;
  return answer;
}

SlotAnswer FieldIndex::AnswerTest(const DatetimeRange& range) const {
  SlotAnswer answer;
  if (spec_.type == PayloadIndexType::kDatetime) {
    AddWithin(std::get<PostingTree<int64_t>>(tree_), range.bounds, &answer.certain);
    return answer;
  }
  return Undecided(spec_.type == PayloadIndexType::kKeyword ? *valued_ : *others_);
}

SlotAnswer FieldIndex::AnswerTest(const ValuesCount& count) const {
  SlotAnswer answer;
  answer.open = *valued_;
  if (count.bounds.Contain(0)) answer.certain = *covered_ - *valued_;
  return answer;
}

SlotAnswer FieldIndex::AnswerTest(const Prefix& prefix) const {
  if (spec_.type == PayloadIndexType::kDatetime) return Undecided(*valued_);
  const auto* tree = std::get_if<PostingTree<std::string>>(&tree_);
  if (tree == nullptr) return Undecided(*others_);
  SlotAnswer answer;
  const std::string& text = prefix.text;
  tree->AddRange([&](const std::string& key) { return key < text; },
                 [&](const std::string& key) { return key > text && !key.starts_with(text); },
                 &answer.certain);
  return answer;
}

SlotAnswer FieldIndex::AnswerTest(const Presence& presence) const {
  switch (presence) {
    case Presence::kExists:
      return {.certain = *exists_};
    case Presence::kIsNull:
      return {.certain = *nulls_};
    case Presence::kIsEmpty:
      return {.certain = *covered_ - *valued_};
  }
  return Undecided(*covered_);
}

size_t FieldIndex::memory_bytes() const {
  size_t bytes = std::visit([](const auto& tree) { return tree.memory_bytes(); }, tree_);
  for (const Bitmap* bitmap : {&covered_, &exists_, &valued_, &nulls_, &others_}) {
    bytes += (*bitmap)->getSizeInBytes();
  }
  return bytes;
}

}  // namespace tessera
