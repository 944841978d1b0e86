// Postings and their trees by themselves, against sets and maps.
#include "server/filter/posting_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

namespace tessera {
namespace {

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
