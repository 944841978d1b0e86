#include "server/filter/posting.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace tessera {
namespace {

TEST(Posting, UnionOfIsWhatAddingOneByOneGives) {
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
        std::vector<const Posting*> pointers;
        Roaring expected;
        for (const Posting& posting : all) {
          pointers.push_back(&posting);
          posting.AddTo(&expected);
        }
        EXPECT_TRUE(UnionOf(pointers) == expected) << postings << " of " << slots_each;
      }
    }
  }
}

}  // namespace
}  // namespace tessera
