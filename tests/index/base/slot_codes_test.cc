#include "index/base/slot_codes.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace tessera {
namespace {

TEST(SlotCodes, HoldsWhatWasSetLast) {
  SlotCodes codes;
  std::map<Slot, uint16_t> reference;
  std::mt19937 rng(1);
  for (int i = 0; i < 20'000; ++i) {
    const Slot slot = rng() % 300'000;
    const auto code = static_cast<uint16_t>(rng() % 0xFFFF);
    codes.Set(slot, code);
    reference[slot] = code;
  }
  std::vector<Slot> slots;
  for (Slot slot = 0; slot < 300'000; ++slot) slots.push_back(slot);
  std::vector<uint16_t> found(slots.size());
  codes.Read(slots, found.data());
  for (Slot slot : slots) {
    const auto it = reference.find(slot);
    ASSERT_EQ(found[slot], it == reference.end() ? 0 : it->second) << slot;
  }
}

TEST(SlotCodes, KnowsNothingOfSlotsBeyond) {
  SlotCodes codes;
  codes.Set(4095, 7);
  codes.Set(4096, 8);
  const Slot slots[] = {4095, 4096, 1'000'000, 0xFFFF'FFFE, kInvalidSlot};
  uint16_t found[5];
  codes.Read(slots, found);
  EXPECT_EQ(found[0], 7);
  EXPECT_EQ(found[1], 8);
  EXPECT_EQ(found[2], 0);
  EXPECT_EQ(found[3], 0);
  EXPECT_EQ(found[4], SlotCodes::kNoSlot);
}

}  // namespace
}  // namespace tessera
