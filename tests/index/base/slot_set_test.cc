#include "index/base/slot_set.h"

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace tessera {
namespace {

TEST(SlotSetTest, HoldsTheExtremesAndNothingElse) {
  SlotSet set;
  EXPECT_FALSE(set.Contains(0));
  EXPECT_FALSE(set.Contains(0xFFFFFFFFu));
  for (Slot slot : {0u, 63u, 64u, (1u << 20) - 1, 1u << 20, 0xFFFFFFFFu}) set.Insert(slot);
  for (Slot slot : {0u, 63u, 64u, (1u << 20) - 1, 1u << 20, 0xFFFFFFFFu}) {
    EXPECT_TRUE(set.Contains(slot)) << slot;
  }
  for (Slot slot : {1u, 62u, 65u, (1u << 20) - 2, (1u << 20) + 1, 0xFFFFFFFEu, 5u << 20}) {
    EXPECT_FALSE(set.Contains(slot)) << slot;
  }
  EXPECT_EQ(set.size(), 6u);
}

TEST(SlotSetTest, RepeatedChangesCountOnce) {
  SlotSet set;
  set.Erase(5);
  set.Insert(5);
  set.Insert(5);
  EXPECT_EQ(set.size(), 1u);
  set.Erase(5);
  set.Erase(5);
  EXPECT_EQ(set.size(), 0u);
  EXPECT_FALSE(set.Contains(5));
}

TEST(SlotSetTest, AgreesWithAStandardSet) {
  std::mt19937 rng(4);
  SlotSet set;
  std::set<Slot> model;
  for (int i = 0; i < 20'000; ++i) {
    const Slot slot = (rng() % 3 << 20) + rng() % 300;
    if (rng() % 2 == 0) {
      set.Insert(slot);
      model.insert(slot);
    } else {
      set.Erase(slot);
      model.erase(slot);
    }
    ASSERT_EQ(set.size(), model.size());
    const Slot probe = (rng() % 3 << 20) + rng() % 300;
    ASSERT_EQ(set.Contains(probe), model.contains(probe));
  }
}

TEST(SlotSetTest, ASnapshotDoesNotChange) {
  SlotSet set;
  EXPECT_FALSE(set.Snapshot()->Contains(0));
  set.Insert(17);
  set.Insert(1u << 20);
  const auto first = set.Snapshot();
  EXPECT_EQ(set.Snapshot(), first) << "nothing has changed";
  set.Erase(17);
  set.Insert(18);
  const auto second = set.Snapshot();
  set.Insert(19);
  EXPECT_TRUE(first->Contains(17));
  EXPECT_FALSE(first->Contains(18));
  EXPECT_EQ(first->size(), 2u);
  EXPECT_FALSE(second->Contains(17));
  EXPECT_TRUE(second->Contains(18));
  EXPECT_FALSE(second->Contains(19));
  EXPECT_TRUE(second->Contains(1u << 20));
  EXPECT_TRUE(set.Contains(19));
}

// Readers of a snapshot beside the writer of the set: nothing moves under them.
TEST(SlotSetTest, ReadersOfASnapshotNeedNoLock) {
  SlotSet set;
  set.Insert(17);
  const auto snapshot = set.Snapshot();
  std::atomic<bool> done = false;
  size_t wrong = 0;
  std::thread reader([&] {
    while (!done.load()) wrong += !snapshot->Contains(17) + snapshot->Contains(18);
  });
  for (uint32_t chunk = 0; chunk < 64; ++chunk) {
    for (uint32_t i = 0; i < 100; ++i) set.Insert((chunk << 20) + 18 + i);
    set.Erase(17);
  }
  done.store(true);
  reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(set.size(), 6400u);
}

}  // namespace
}  // namespace tessera
