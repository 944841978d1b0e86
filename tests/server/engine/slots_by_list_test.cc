#include "server/engine/slots_by_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace tessera {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SlotsByList, GroupsSlotsInTheirOrder) {
  SlotTable table(0);
  constexpr size_t kLists = 7;
  for (Slot slot = 0; slot < 5000; ++slot) {
    table.Set(slot, PointId(uint64_t{slot}), nullptr);
    table.SetList(slot, slot % 5 == 3 ? 6 : slot % 3);
  }
  const std::vector<Slot> slots = {0, 3, 8, 13, 4999, 21, 6};
  const auto by_list = SlotsByList::Make(slots, table, kLists);
  ASSERT_NE(by_list, nullptr);
  EXPECT_EQ(by_list->nlist(), kLists);
  EXPECT_THAT(by_list->lists(), ElementsAre(0, 1, 6));
  EXPECT_THAT(by_list->of(0), ElementsAre(0, 21, 6));
  EXPECT_THAT(by_list->of(1), ElementsAre(4999));
  EXPECT_THAT(by_list->of(5), IsEmpty());
  EXPECT_THAT(by_list->of(6), ElementsAre(3, 8, 13));
  EXPECT_EQ(by_list->slots().size(), slots.size());
  EXPECT_THAT(SlotsByList::Make({}, table, kLists)->lists(), IsEmpty());
}

TEST(SlotsOfLists, HoldsTheSlotsOfTheListsAskedFor) {
  SlotTable table(0);
  constexpr size_t kLists = 50;
  std::vector<Slot> slots;
  for (Slot slot = 0; slot < 5000; ++slot) {
    table.Set(slot, PointId(uint64_t{slot}), nullptr);
    table.SetList(slot, slot * 7 % 50);
    if (slot % 3 != 1) slots.push_back(slot);
  }
  const auto all = SlotsByList::Make(slots, table, kLists);
  SlotsOfLists some;
  // More and fewer than the time before, none, and nothing to look in.
  for (const std::vector<uint32_t>& lists :
       {std::vector<uint32_t>{4, 49, 0}, {7, 8, 9, 10, 11, 48, 3}, {2}, {}}) {
    std::vector<Neighbor> nearest;
    for (uint32_t list : lists) nearest.push_back({0.5f, list});
    ASSERT_TRUE(some.SetSlots(slots, table, kLists));
    some.Fill(slots, nearest);
    for (uint32_t list : lists) {
      const auto expected = all->of(list);
      const auto held = some.of(list);
      EXPECT_EQ(std::vector<Slot>(held.begin(), held.end()),
                std::vector<Slot>(expected.begin(), expected.end()));
    }
    ASSERT_TRUE(some.SetSlots({}, table, kLists));
    some.Fill({}, nearest);
    for (uint32_t list : lists) EXPECT_THAT(some.of(list), IsEmpty());
  }
  EXPECT_FALSE(some.SetSlots(slots, table, 49)) << "of another codebook";
}

TEST(SlotsByList, RefusesListsOfAnotherCodebook) {
  SlotTable table(0);
  table.Set(0, PointId(uint64_t{0}), nullptr);
  table.SetList(0, 7);
  const std::vector<Slot> slots = {0};
  EXPECT_EQ(SlotsByList::Make(slots, table, 7), nullptr);
  EXPECT_NE(SlotsByList::Make(slots, table, 8), nullptr);
}

// Lists are split while searches run: each slot is in one list for all that a search asks.
TEST(SlotsOfLists, KeepsTheListsThatSlotsHadAtFirst) {
  SlotTable table(0);
  constexpr size_t kLists = 2;
  const std::vector<Slot> slots = {0, 1, 2, 3};
  for (Slot slot : slots) {
    table.Set(slot, PointId(uint64_t{slot}), nullptr);
    table.SetList(slot, slot % 2);
  }
  SlotsOfLists some;
  ASSERT_TRUE(some.SetSlots(slots, table, kLists));
  const std::vector<Neighbor> first = {{0.5f, 0}}, second = {{0.5f, 1}};
  some.Fill(slots, first);
  EXPECT_THAT(some.of(0), ElementsAre(0, 2));
  table.SetList(0, 1);
  table.SetList(1, 0);
  some.Fill(slots, second);
  EXPECT_THAT(some.of(1), ElementsAre(1, 3));
  const auto all = SlotsByList::Make(slots, some.list_of(), kLists);
  EXPECT_THAT(all->of(0), ElementsAre(0, 2));
  EXPECT_THAT(all->of(1), ElementsAre(1, 3));
}

}  // namespace
}  // namespace tessera
