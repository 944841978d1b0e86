#include "server/filter/slot_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>
#include <vector>

namespace tessera {
namespace {

TEST(SlotParts, UnionListAndMaskHoldWhatAddingOneByOneGives) {
  std::mt19937 random(1);
  // Few and many, small and large, far apart and close together, one slot alone and none.
  for (const size_t postings : {0, 1, 2, 3, 40}) {
    for (const size_t slots_each : {1, 3, 500, 20'000}) {
      for (const Slot end : {30'000u, 1'000'000u}) {
        std::vector<Posting> all(1);
        for (size_t i = 0; i < postings; ++i) {
          std::vector<Slot> slots(i % 7 == 3 ? 1 : slots_each);
          for (Slot& slot : slots) slot = static_cast<Slot>(random() % end);
          std::sort(slots.begin(), slots.end());
          slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
          all.emplace_back(slots);
        }
        SlotParts parts;
        Roaring expected;
        std::vector<Slot> listed;
        for (const Posting& posting : all) {
          parts.Add(posting);
          posting.AddTo(&expected);
          Roaring one;
          posting.AddTo(&one);
          listed.insert(listed.end(), one.begin(), one.end());
        }
        EXPECT_TRUE(parts.Union() == expected) << postings << " of " << slots_each;
        EXPECT_EQ(parts.size(), listed.size());
        std::vector<Slot> list = {1, 2, 3};
        parts.List(&list);
        std::sort(list.begin(), list.end());
        std::sort(listed.begin(), listed.end());
        EXPECT_EQ(list, listed) << postings << " of " << slots_each;
        SlotMask mask(end / 2);
        parts.InsertInto(&mask);
        size_t held = 0;
        for (size_t w = 0; w < mask.num_words(); ++w) {
          held += static_cast<size_t>(std::popcount(mask.words()[w]));
        }
        Roaring below;
        below.addRange(0, end / 2);
        below &= expected;
        EXPECT_EQ(held, below.cardinality());
        for (Slot slot : below) ASSERT_TRUE(mask.Contains(slot));
      }
    }
  }
}

}  // namespace
}  // namespace tessera
