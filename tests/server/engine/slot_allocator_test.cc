#include "server/engine/slot_allocator.h"

#include <gtest/gtest.h>

#include <vector>

#include "server/engine/list_tombstones.h"
#include "server/engine/view_epochs.h"

namespace tessera {
namespace {

std::vector<Slot> Reclaim(SlotAllocator& slots, uint64_t oldest_epoch) {
  std::vector<Slot> freed;
  slots.Reclaim(oldest_epoch, [&](Slot slot) { freed.push_back(slot); });
  return freed;
}

TEST(SlotAllocator, GivesTheLowestFreeSlotFirst) {
  SlotAllocator slots;
  slots.Reset(10, {7, 2, 5});
  EXPECT_EQ(slots.Take(), 2u);
  EXPECT_EQ(slots.Take(), 5u);
  EXPECT_EQ(slots.Take(), 7u);
  EXPECT_EQ(slots.Take(), 10u);
  EXPECT_EQ(slots.end(), 11u);
  slots.Return({10, 2});
  EXPECT_EQ(slots.Take(), 2u);
  EXPECT_EQ(slots.Take(), 10u);
}

TEST(SlotAllocator, FreesASlotOnlyWhenNoOlderViewIsLeft) {
  SlotAllocator slots;
  slots.Reset(4, {});
  slots.Retire({1}, 5);
  slots.Retire({3}, 6);
  EXPECT_TRUE(Reclaim(slots, 4).empty());
  EXPECT_EQ(slots.Take(), 4u);
  EXPECT_EQ(Reclaim(slots, 5), std::vector<Slot>{1});
  EXPECT_EQ(Reclaim(slots, 9), std::vector<Slot>{3});
  EXPECT_EQ(slots.Take(), 1u);
  EXPECT_EQ(slots.Take(), 3u);
  EXPECT_EQ(slots.Take(), 5u);
}

TEST(SlotAllocator, ASlotThatIsHeldIsFreedOnlyAfterItsRelease) {
  SlotAllocator slots;
  slots.Reset(6, {});
  slots.Hold(std::vector<Slot>{1, 3, 5});
  slots.Retire({1, 2, 5}, 4);
  EXPECT_EQ(Reclaim(slots, 9), std::vector<Slot>{2});
  EXPECT_EQ(slots.end(), 6u) << "slot 5 is held";
  // Views before epoch 11 show them as held.
  slots.Release(std::vector<Slot>{1, 3}, 11);
  EXPECT_FALSE(slots.held().Contains(1));
  EXPECT_TRUE(slots.held().Contains(5));
  EXPECT_TRUE(Reclaim(slots, 10).empty());
  EXPECT_EQ(Reclaim(slots, 11), std::vector<Slot>{1}) << "slot 3 may be in a list";
  slots.Retire({3}, 11);
  EXPECT_EQ(Reclaim(slots, 11), std::vector<Slot>{3});
  // Retired long ago, but released only now.
  slots.Hold(std::vector<Slot>{4});
  slots.Retire({4}, 12);
  slots.Release(std::vector<Slot>{4, 5}, 13);
  EXPECT_TRUE(Reclaim(slots, 12).empty());
  EXPECT_EQ(Reclaim(slots, 13), (std::vector<Slot>{4, 5}));
  EXPECT_EQ(slots.end(), 1u);
}

TEST(SlotAllocator, TheEndFallsWhenTheHighestSlotsAreFree) {
  SlotAllocator slots;
  slots.Reset(200, {});
  std::vector<Slot> high;
  for (Slot slot = 60; slot < 199; ++slot) high.push_back(slot);
  slots.Retire(high, 1);
  EXPECT_EQ(Reclaim(slots, 1).size(), high.size());
  EXPECT_EQ(slots.end(), 200u) << "slot 199 is in use";
  EXPECT_EQ(slots.Take(), 60u);
  slots.Retire({199}, 2);
  Reclaim(slots, 2);
  EXPECT_EQ(slots.end(), 61u);
  EXPECT_EQ(slots.Take(), 61u);
  EXPECT_EQ(slots.end(), 62u);
}

TEST(SlotAllocator, WithReuseOffOnlyNewSlotsAreGiven) {
  SlotAllocator slots;
  slots.Reset(4, {0});
  slots.Retire({1, 2}, 1);
  slots.SetReuse(false);
  EXPECT_TRUE(Reclaim(slots, 8).empty());
  EXPECT_EQ(slots.Take(), 4u);
  SlotSet listed;
  listed.Insert(2);
  slots.Withdraw(listed);
  slots.SetReuse(true);
  EXPECT_EQ(Reclaim(slots, 8), std::vector<Slot>{1});
  EXPECT_EQ(slots.Take(), 0u);
  EXPECT_EQ(slots.Take(), 1u);
  EXPECT_EQ(slots.Take(), 5u);
}

TEST(ViewEpochs, TheOldestViewThatIsHeldCounts) {
  ViewEpochs epochs;
  EXPECT_EQ(epochs.Oldest(), 0u);
  auto first = epochs.Open();
  auto second = epochs.Open();
  auto third = epochs.Open();
  EXPECT_EQ(epochs.next(), 3u);
  EXPECT_EQ(epochs.Oldest(), 0u);
  second.reset();
  EXPECT_EQ(epochs.Oldest(), 0u);
  first.reset();
  EXPECT_EQ(epochs.Oldest(), 2u);
  third.reset();
  EXPECT_EQ(epochs.Oldest(), 3u);
}

TEST(ListTombstones, AListIsCompactedWhenItsDeadShareIsTooLarge) {
  ListTombstones tombstones;
  tombstones.Reset(3);
  for (Slot slot = 0; slot < 10; ++slot) tombstones.Add(slot, 1, 200);
  EXPECT_FALSE(tombstones.HasWork()) << "a twentieth is not more than a twentieth";
  tombstones.Add(10, 1, 200);
  tombstones.Add(11, 1, 200);
  tombstones.Add(12, 2, 1);
  EXPECT_EQ(tombstones.NextList(), 1u);
  EXPECT_EQ(tombstones.NextList(), 2u);
  EXPECT_EQ(tombstones.NextList(), std::nullopt);
  EXPECT_EQ(tombstones.slots().size(), 13u);
  tombstones.Remove(std::vector<Slot>{0, 12});
  EXPECT_FALSE(tombstones.slots().Contains(12));
  EXPECT_EQ(tombstones.slots().size(), 11u);
}

}  // namespace
}  // namespace tessera
