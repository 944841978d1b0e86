// Indexes against the evaluation of each payload, on random payloads, filters and changes.
#include "server/filter/payload_indexes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>

#include "server/filter/check.h"
#include "server/filter/evaluate.h"
#include "tests/server/filter/filter_test_util.h"
#include "tests/server/filter/random_filters.h"

namespace tessera {
namespace {

using Json = nlohmann::json;

// A collection of payloads and its indexes, kept up to date as the engine does.
class Model {
 public:
  Model() {
    const std::pair<const char*, PayloadIndexType> specs[] = {
        {"k", PayloadIndexType::kKeyword},   {"i", PayloadIndexType::kInteger},
        {"f", PayloadIndexType::kFloat},     {"d", PayloadIndexType::kDatetime},
        {"b", PayloadIndexType::kBool},      {"o.k", PayloadIndexType::kKeyword},
        {"one", PayloadIndexType::kInteger}, {"day", PayloadIndexType::kDatetime}};
    for (const auto& [key, type] : specs) {
      const PayloadIndexSpec spec{FieldPath(key), type};
      indexes_.fields[key] = {std::make_shared<FieldIndex>(spec, FieldColumn(type)), true, nullptr};
    }
  }

  // Replaces the payloads of some slots: null deletes.
  void Change(const std::map<Slot, std::optional<Json>>& changes) {
    for (auto& [key, field] : indexes_.fields) {
      const PayloadIndexSpec& spec = field.index->spec();
      FieldColumn removed(spec.type);
      FieldColumn added(spec.type);
      for (const auto& [slot, payload] : changes) {
        if (payloads_.contains(slot)) removed.Add(spec, payloads_[slot], slot);
        if (payload.has_value()) added.Add(spec, *payload, slot);
      }
      removed.Sort();
      added.Sort();
      field.index = field.index->With(removed, added);
    }
    for (const auto& [slot, payload] : changes) {
      payloads_.erase(slot);
      if (payload.has_value()) payloads_[slot] = *payload;
    }
  }

  // Deletes a part of the slots all at once.
  void DeleteMany(RandomFilters& random) {
    Roaring slots;
    for (const auto& [slot, payload] : payloads_) {
      if (random.Below(3) == 0) slots.add(slot);
    }
    indexes_ = *WithoutSlots(indexes_, slots);
    std::erase_if(payloads_, [&](const auto& point) { return slots.contains(point.first); });
  }

  // Where one index alone tells, the codes of the slots that have payloads do.
  void ExpectCodesTellTheSame(const Filter& filter) const {
    if (!AnswerByOneIndex(indexes_, filter).has_value()) return;
    const std::shared_ptr<const EntryFilter> codes = CodesByOneIndex(indexes_, filter);
    ASSERT_NE(codes, nullptr);
    std::vector<Slot> found;
    for (const auto& [slot, payload] : payloads_) {
      uint16_t code = 0;
      codes->codes->Read({&slot, 1}, &code);
      const bool some = codes->possible.Contains(code) && codes->AllowsPossible(slot);
      if (codes->certain.Contains(code) || some) found.push_back(slot);
    }
    EXPECT_EQ(found, Truth(filter));
  }

  // By evaluating every payload.
  std::vector<Slot> Truth(const Filter& filter) const {
    std::vector<Slot> slots;
    for (const auto& [slot, payload] : payloads_) {
      if (Matches(filter, uint64_t{slot}, payload)) slots.push_back(slot);
    }
    return slots;
  }
  // By the indexes, and by the payloads of what they leave open.
  std::vector<Slot> ByIndex(const Filter& filter, bool* decided) const {
    Roaring universe;
    for (const auto& [slot, payload] : payloads_) universe.add(slot);
    const auto slots_of = [&](const std::vector<FilterId>& ids) -> absl::StatusOr<Roaring> {
      Roaring slots;
      for (const FilterId& id : ids) {
        const Slot slot = static_cast<Slot>(std::get<uint64_t>(id));
        if (payloads_.contains(slot)) slots.add(slot);
      }
      return slots;
    };
    const auto answer = AnswerByIndexes(indexes_, filter, universe, slots_of);
    *decided = answer->slots.decided();
    EXPECT_TRUE((answer->slots.certain & answer->slots.open).isEmpty());
    EXPECT_EQ(*decided, answer->unindexed.empty() || answer->slots.open.isEmpty());
    Roaring matching = answer->slots.certain;
    for (Slot slot : answer->slots.open) {
      if (Matches(filter, uint64_t{slot}, payloads_.at(slot))) matching.add(slot);
    }
    return {matching.begin(), matching.end()};
  }

  // By the parts of one index, if it has an answer.
  std::optional<std::vector<Slot>> ByParts(const Filter& filter) const {
    ExpectCodesTellTheSame(filter);
    const std::optional<SlotParts> parts = AnswerByOneIndex(indexes_, filter);
    if (!parts.has_value()) return std::nullopt;
    std::vector<Slot> slots;
    parts->List(&slots);
    EXPECT_EQ(slots.size(), parts->size());
    std::sort(slots.begin(), slots.end());
    return slots;
  }

 private:
  std::map<Slot, Json> payloads_;
  PayloadIndexes indexes_;
};

TEST(PayloadIndexes, AgreeWithTheEvaluationOfEachPayload) {
  RandomFilters random(1);
  Model model;
  size_t decided_by_index = 0;
  size_t matched_some = 0;
  for (int round = 0; round < 40; ++round) {
    std::map<Slot, std::optional<Json>> changes;
    for (size_t n = 1 + random.Below(60); n > 0; --n) {
      auto& change = changes[static_cast<Slot>(random.Below(300))];
      change.reset();
      if (random.Below(4) != 0) change = random.Payload();
    }
    model.Change(changes);
    if (round % 5 == 4) model.DeleteMany(random);
    for (int i = 0; i < 50; ++i) {
      Filter filter = random.MakeFilter(2);
      ASSERT_FALSE(CheckFilter(&filter).has_value());
      bool decided = false;
      const auto truth = model.Truth(filter);
      ASSERT_EQ(model.ByIndex(filter, &decided), truth) << "round " << round << " filter " << i;
      decided_by_index += decided;
      matched_some += !truth.empty();
    }
  }
  EXPECT_GT(decided_by_index, 200u);
  EXPECT_GT(matched_some, 500u);
}

// Integers between doubles, whatever index their field has.
TEST(PayloadIndexes, CompareLargeIntegersExactly) {
  constexpr int64_t kMiddle = int64_t{1} << 53;
  constexpr const char* kKeys[] = {"k", "i", "f", "d", "b", "one", "free"};
  Model model;
  std::map<Slot, std::optional<Json>> changes;
  for (Slot slot = 0; slot < 12; ++slot) {
    const int64_t value = (slot % 2 == 0 ? 1 : -1) * (kMiddle - 2 + int64_t{slot} / 2);
    changes[slot].emplace();
    for (const char* key : kKeys) (*changes[slot])[key] = value;
  }
  model.Change(changes);
  for (int64_t bound = kMiddle - 3; bound < kMiddle + 5; ++bound) {
    for (const Number signed_bound : {static_cast<Number>(bound), -static_cast<Number>(bound)}) {
      for (const auto& bounds :
           {Bounds<Number>{.lt = signed_bound}, Bounds<Number>{.lte = signed_bound},
            Bounds<Number>{.gt = signed_bound}, Bounds<Number>{.gte = signed_bound}}) {
        for (const char* key : kKeys) {
          const Filter filter = Must(Where(key, NumberRange{bounds}));
          bool decided = false;
          ASSERT_EQ(model.ByIndex(filter, &decided), model.Truth(filter)) << key << " " << bound;
          EXPECT_EQ(decided, key == std::string("i") || key == std::string("one"));
          const auto parts = model.ByParts(filter);
          if (parts.has_value()) {
            EXPECT_EQ(*parts, model.Truth(filter)) << key << " " << bound;
          }
        }
      }
    }
  }
}

TEST(PayloadIndexes, PartsOfOneIndexHoldEachMatchOnce) {
  RandomFilters random(2);
  Model model;
  size_t by_parts = 0;
  size_t matched_some = 0;
  for (int round = 0; round < 40; ++round) {
    std::map<Slot, std::optional<Json>> changes;
    for (size_t n = 1 + random.Below(60); n > 0; --n) {
      auto& change = changes[static_cast<Slot>(random.Below(300))];
      change.reset();
      if (random.Below(4) != 0) change = random.Payload();
    }
    model.Change(changes);
    for (int i = 0; i < 50; ++i) {
      Filter filter = random.OnOneField();
      ASSERT_FALSE(CheckFilter(&filter).has_value());
      const std::optional<std::vector<Slot>> slots = model.ByParts(filter);
      if (!slots.has_value()) continue;
      ASSERT_EQ(*slots, model.Truth(filter)) << "round " << round << " filter " << i;
      ++by_parts;
      matched_some += !slots->empty();
    }
  }
  EXPECT_GT(by_parts, 200u);
  EXPECT_GT(matched_some, 100u);
}

// More values than there can be bounds, so that ranges end between two; and then many more of them
// at one end, so that codes are made anew.
TEST(PayloadIndexes, CodesTellRangesOfManyValues) {
  const PayloadIndexSpec spec{FieldPath("n"), PayloadIndexType::kInteger};
  std::vector<int64_t> values;
  const auto column = [&](size_t count, int64_t step) {
    FieldColumn added(spec.type);
    for (size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<Slot>(values.size());
      values.push_back(values.empty() ? 0 : values.back() + step);
      added.Add(spec, Json{{"n", values.back()}}, slot);
    }
    added.Sort();
    return added;
  };
  PayloadIndexes indexes;
  auto index = std::make_shared<const FieldIndex>(spec, column(100'000, 3));
  for (int turn = 0; turn < 4; ++turn) {
    indexes.fields["n"] = {index, true, nullptr};
    std::mt19937_64 random(static_cast<uint64_t>(turn));
    for (int i = 0; i < 20; ++i) {
      const auto last = static_cast<uint64_t>(values.back());
      const auto begin = static_cast<double>(random() % last);
      const double end = begin + static_cast<double>(random() % (i % 2 == 0 ? 20 : last));
      const Filter filter = Must(Where("n", NumberRange{{.lt = end, .gte = begin}}));
      const auto codes = CodesByOneIndex(indexes, filter);
      if (codes == nullptr) continue;  // too many lie between two bounds
      for (Slot slot = 0; slot < values.size(); ++slot) {
        uint16_t code = 0;
        codes->codes->Read({&slot, 1}, &code);
        const auto value = static_cast<double>(values[slot]);
        const bool some = codes->possible.Contains(code) && codes->AllowsPossible(slot);
        ASSERT_EQ(codes->certain.Contains(code) || some, begin <= value && value < end)
            << value << " from " << begin << " to " << end;
      }
    }
    index = index->With(FieldColumn(spec.type), column(9'000, 1));
  }
}

// Across the number of slots from which there is a bitmap, either way.
TEST(Posting, HoldsWhatChangesLeave) {
  std::mt19937 random(9);
  std::set<Slot> truth;
  Posting posting;
  for (int round = 0; round < 2'000; ++round) {
    const auto some = [&](size_t most) {
      std::set<Slot> slots;
      for (size_t n = random() % (most + 1); n > 0; --n) slots.insert(random() % 12 * 70'000);
      return std::vector<Slot>(slots.begin(), slots.end());
    };
    const std::vector<Slot> removed = some(round % 3 == 0 ? 12 : 3);
    const std::vector<Slot> added = some(round % 7 == 0 ? 8 : 2);
    const Posting before = posting;
    const std::set<Slot> truth_before = truth;
    posting = posting.With(added, removed);
    for (const Slot slot : removed) truth.erase(slot);
    truth.insert(added.begin(), added.end());
    const auto expect = [](const Posting& held, const std::set<Slot>& expected) {
      ASSERT_EQ(held.size(), expected.size());
      ASSERT_EQ(held.empty(), expected.empty());
      Roaring slots;
      held.AddTo(&slots);
      ASSERT_EQ(std::set<Slot>(slots.begin(), slots.end()), expected);
      ASSERT_EQ(held.few().size(), held.many() != nullptr ? 0 : expected.size());
      Roaring half;
      half.addRange(0, 6 * 70'000);
      const auto below = std::distance(expected.begin(), expected.lower_bound(6 * 70'000));
      ASSERT_EQ(held.CountIn(half), static_cast<size_t>(below));
    };
    expect(posting, truth);
    expect(before, truth_before);
    Posting moved = std::move(posting);
    expect(posting, {});  // NOLINT(bugprone-use-after-move)
    posting = moved;
    moved = Posting();
    expect(posting, truth);
  }
}

TEST(PostingTree, KeepsManyValuesThroughChanges) {
  std::mt19937 random(5);
  std::map<int64_t, std::set<Slot>> truth;
  PostingTree<int64_t> tree;
  for (int round = 0; round < 30; ++round) {
    std::vector<std::pair<int64_t, Slot>> added;
    std::vector<std::pair<int64_t, Slot>> removed;
    for (int i = 0; i < 400; ++i) {
      added.emplace_back(random() % 3000, random() % 100'000);
      if (truth.empty()) continue;
      auto it = truth.lower_bound(random() % 3000);
      if (it == truth.end()) continue;
      removed.emplace_back(it->first, *it->second.begin());
    }
    std::sort(added.begin(), added.end());
    std::sort(removed.begin(), removed.end());
    tree = tree.With(removed, added);
    for (const auto& [key, slot] : removed) {
      truth[key].erase(slot);
      if (truth[key].empty()) truth.erase(key);
    }
    for (const auto& [key, slot] : added) truth[key].insert(slot);
    if (round % 3 == 2) {
      // Some slots, whatever their values, and all slots of some leaves.
      Roaring gone;
      for (int i = 0; i < 20'000; ++i) gone.add(random() % 100'000);
      for (auto it = truth.lower_bound(500); it != truth.end() && it->first < 900; ++it) {
        for (const Slot slot : it->second) gone.add(slot);
      }
      tree = tree.Without(gone);
      for (auto it = truth.begin(); it != truth.end();) {
        std::erase_if(it->second, [&](Slot slot) { return gone.contains(slot); });
        it = it->second.empty() ? truth.erase(it) : std::next(it);
      }
    }
    std::map<int64_t, std::set<Slot>> held;
    tree.ForEach([&](int64_t key, const Posting& posting) {
      Roaring slots;
      posting.AddTo(&slots);
      held[key] = std::set<Slot>(slots.begin(), slots.end());
    });
    ASSERT_EQ(held, truth);
    SlotParts parts;
    tree.AddRange([](int64_t key) { return key < 700; }, [](int64_t key) { return key > 2200; },
                  &parts);
    const Roaring range = parts.Union();
    uint64_t entries = 0;
    for (const auto& [key, slots] : truth) entries += slots.size();
    ASSERT_EQ(tree.entries(), entries);
    std::set<Slot> expected;
    for (auto it = truth.lower_bound(700); it != truth.end() && it->first <= 2200; ++it) {
      expected.insert(it->second.begin(), it->second.end());
    }
    ASSERT_EQ(std::set<Slot>(range.begin(), range.end()), expected);
  }
}

// Enough values for many branches: ranges before and after changes, in trees that share them.
TEST(PostingTree, RangesOfManyValues) {
  std::mt19937 random(6);
  constexpr int64_t kValues = 60'000;
  std::map<int64_t, Slot> truth;
  std::vector<std::pair<int64_t, Slot>> entries;
  for (int64_t value = 0; value < kValues; ++value) {
    const auto slot = static_cast<Slot>(value * 7'919 % kValues);
    truth[value] = slot;
    entries.emplace_back(value, slot);
  }
  PostingTree<int64_t> tree(entries);
  const size_t bytes_before = tree.memory_bytes();
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 20; ++i) {
      const auto begin = static_cast<int64_t>(random() % kValues);
      const int64_t end = begin + static_cast<int64_t>(random() % kValues);
      SlotParts parts;
      tree.AddRange([&](int64_t key) { return key < begin; },
                    [&](int64_t key) { return key >= end; }, &parts);
      Roaring expected;
      for (auto it = truth.lower_bound(begin); it != truth.end() && it->first < end; ++it) {
        expected.add(it->second);
      }
      ASSERT_TRUE(parts.Union() == expected) << begin << " to " << end;
      ASSERT_EQ(parts.size(), expected.cardinality()) << "each slot once";
    }
    EXPECT_GT(tree.memory_bytes(), bytes_before * 3 / 4);
    // Here and there some values go, some move to other slots, and some come: in one place many.
    std::vector<std::pair<int64_t, Slot>> removed;
    std::vector<std::pair<int64_t, Slot>> added;
    const auto dense = static_cast<int64_t>(random() % kValues);
    std::set<int64_t> touched;
    for (int i = 0; i < 3'000; ++i) {
      const auto value =
          i % 3 == 0 ? static_cast<int64_t>(random() % kValues) : (dense + i) % kValues;
      if (!touched.insert(value).second) continue;
      const auto it = truth.find(value);
      if (it != truth.end()) {
        removed.emplace_back(*it);
        truth.erase(it);
      } else if (truth.size() < kValues) {
        const auto slot = static_cast<Slot>(kValues + round * 3'000 + i);
        truth[value] = slot;
        added.emplace_back(value, slot);
      }
    }
    std::sort(removed.begin(), removed.end());
    std::sort(added.begin(), added.end());
    tree = tree.With(removed, added);
    ASSERT_EQ(tree.entries(), truth.size());
  }
}

// What is first asked for is listed value by value, then by unions that are kept.
TEST(PostingTree, RangesAreTheSameHoweverOftenTheyAreAskedFor) {
  constexpr int64_t kValues = 40'000;
  std::vector<std::pair<int64_t, Slot>> entries;
  for (int64_t value = 0; value < kValues; ++value) {
    entries.emplace_back(value, static_cast<Slot>(value * 7'919 % kValues));
    if (value % 5 == 0) entries.emplace_back(value, static_cast<Slot>(kValues + value));
  }
  for (auto& entry : entries) entry.second *= 3;
  std::sort(entries.begin(), entries.end());
  const PostingTree<int64_t> tree(entries);
  const size_t bytes_before = tree.memory_bytes();
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, kValues},
                                   {17, 30},
                                   {777, 3'000},
                                   {777, kValues - 1},
                                   {-5, kValues / 2},
                                   {kValues, kValues + 5},
                                   {-5, 0}}) {
    std::vector<Slot> expected;
    for (const auto& [value, slot] : entries) {
      if (begin <= value && value < end) expected.push_back(slot);
    }
    std::sort(expected.begin(), expected.end());
    for (int turn = 0; turn < 4; ++turn) {
      SlotParts parts;
      tree.AddRange([&](int64_t key) { return key < begin; },
                    [&](int64_t key) { return key >= end; }, &parts);
      EXPECT_EQ(parts.size(), expected.size());
      std::vector<Slot> listed;
      parts.List(&listed);
      std::sort(listed.begin(), listed.end());
      ASSERT_EQ(listed, expected) << begin << " to " << end << ", turn " << turn;
      SlotMask mask(6 * kValues);
      parts.InsertInto(&mask);
      for (Slot slot = 0; slot < mask.end(); ++slot) {
        ASSERT_EQ(mask.Contains(slot), std::binary_search(expected.begin(), expected.end(), slot));
      }
      const Roaring all = parts.Union();
      ASSERT_EQ(std::vector<Slot>(all.begin(), all.end()), expected);
    }
  }
  EXPECT_GT(tree.memory_bytes(), bytes_before);
}

TEST(PostingTree, WalksEitherWayPastWhatHasNoneOfTheSlots) {
  std::mt19937 random(7);
  std::map<int64_t, std::set<Slot>> truth;
  std::vector<std::pair<int64_t, Slot>> entries;
  for (Slot slot = 0; slot < 20'000; ++slot) {
    const auto value = static_cast<int64_t>(random() % 30'000);
    truth[value].insert(slot);
    entries.emplace_back(value, slot);
  }
  std::sort(entries.begin(), entries.end());
  const PostingTree<int64_t> tree(entries);
  for (int turn = 0; turn < 40; ++turn) {
    Roaring within;
    for (const size_t n = turn % 3 == 0 ? 3 : 3'000; within.cardinality() < n;) {
      within.add(static_cast<Slot>(random() % 20'000));
    }
    const auto from = static_cast<int64_t>(random() % 31'000) - 500;
    const int64_t* start = turn % 4 == 0 ? nullptr : &from;
    for (const bool descending : {false, true}) {
      std::vector<int64_t> expected;
      for (const auto& [value, slots] : truth) {
        if (start != nullptr && (descending ? value > from : value < from)) continue;
        const bool some = std::any_of(slots.begin(), slots.end(),
                                      [&](Slot slot) { return within.contains(slot); });
        if (some) expected.push_back(value);
      }
      if (descending) std::reverse(expected.begin(), expected.end());
      expected.resize(std::min<size_t>(expected.size(), 200));
      std::vector<int64_t> walked;
      size_t visited = 0;
      tree.Walk(descending, start, &within, [&](int64_t value, const Posting& posting) {
        ++visited;
        if (posting.CountIn(within) > 0) walked.push_back(value);
        return walked.size() < 200;
      });
      ASSERT_EQ(walked, expected) << "turn " << turn;
      if (turn == 39) {
        EXPECT_LT(visited, truth.size() / 2) << "with unions made";
      }
    }
  }
}

// Values go here and there until few are left, which would leave as many leaves of one value.
TEST(PostingTree, IsAsSmallAsOneMadeOfWhatIsLeft) {
  std::mt19937 random(8);
  std::vector<std::pair<std::string, Slot>> left;
  for (Slot slot = 0; slot < 40'000; ++slot) left.emplace_back(std::to_string(random()), slot);
  std::sort(left.begin(), left.end());
  PostingTree<std::string> tree(left);
  while (left.size() > 100) {
    std::shuffle(left.begin(), left.end(), random);
    std::vector<std::pair<std::string, Slot>> removed(left.end() - 50, left.end());
    left.resize(left.size() - 50);
    std::sort(removed.begin(), removed.end());
    tree = tree.With(removed, {});
    if (left.size() % 4'000 == 100) {
      std::sort(left.begin(), left.end());
      const PostingTree<std::string> anew(left);
      EXPECT_EQ(tree.entries(), left.size());
      EXPECT_LT(tree.memory_bytes(), anew.memory_bytes() * 3 / 2) << left.size();
    }
  }
  std::sort(left.begin(), left.end());
  for (const auto& [value, slot] : left) {
    const Posting* posting = tree.Find(value);
    ASSERT_NE(posting, nullptr);
    EXPECT_EQ(posting->few()[0], slot);
  }
  EXPECT_EQ(tree.Find("none"), nullptr);
  EXPECT_EQ(tree.Find(""), nullptr);
  tree = tree.With(left, {});
  EXPECT_EQ(tree.entries(), 0u);
  EXPECT_EQ(tree.memory_bytes(), 0u);
  EXPECT_EQ(tree.Find("none"), nullptr);
}

}  // namespace
}  // namespace tessera
