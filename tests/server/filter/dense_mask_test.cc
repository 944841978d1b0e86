#include "server/filter/dense_mask.h"

#include <gtest/gtest.h>

#include <random>

namespace tessera {
namespace {

void ExpectSame(const Roaring& slots, Slot end) {
  const SlotMask mask = MakeDenseMask(slots, end);
  for (uint64_t slot = 0; slot < uint64_t{end} + 100; ++slot) {
    const auto s = static_cast<Slot>(slot);
    ASSERT_EQ(mask.Contains(s), s < end && slots.contains(s)) << slot << " of " << end;
  }
  // Kernels read bits without asking for the end.
  for (uint64_t bit = end; bit < SlotMask::kWordBits * mask.num_words(); ++bit) {
    ASSERT_EQ(mask.words()[bit / SlotMask::kWordBits] >> (bit % SlotMask::kWordBits) & 1, 0u);
  }
}

TEST(DenseMask, HoldsWhatTheBitmapHolds) {
  std::mt19937 random(1);
  ExpectSame(Roaring(), 100);
  for (const double share : {0.0001, 0.01, 0.3, 0.9}) {
    Roaring slots;
    for (Slot slot = 0; slot < 300'000; ++slot) {
      if (random() < share * 4294967296.0) slots.add(slot);
    }
    for (const Slot end : {1u, 65'536u, 200'001u, 300'000u}) ExpectSame(slots, end);
    slots.addRange(70'000, 150'000);  // runs
    slots.runOptimize();
    for (const Slot end : {70'001u, 262'144u, 300'000u}) ExpectSame(slots, end);
  }
  Roaring one_run;
  one_run.addRange(10, 90'000);
  one_run.runOptimize();
  ExpectSame(one_run, 100'000);
}

}  // namespace
}  // namespace tessera
