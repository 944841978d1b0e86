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

TEST(SlotsByList, RefusesListsOfAnotherCodebook) {
  SlotTable table(0);
  table.Set(0, PointId(uint64_t{0}), nullptr);
  table.SetList(0, 7);
  const std::vector<Slot> slots = {0};
  EXPECT_EQ(SlotsByList::Make(slots, table, 7), nullptr);
  EXPECT_NE(SlotsByList::Make(slots, table, 8), nullptr);
}

}  // namespace
}  // namespace tessera
