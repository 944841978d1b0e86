#include "index/simd/code_lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "index/base/buffer.h"
#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

// Random codes below `codes_end` (and some of all 16 bits) against a set of `ranges` ranges.
void ExpectLanes(uint32_t codes_end, size_t ranges, uint32_t widest, uint32_t seed) {
  std::mt19937 rng(seed);
  CodeSet set;
  std::set<uint16_t> reference;
  for (size_t r = 0; r < ranges; ++r) {
    const uint32_t first = rng() % codes_end;
    const uint32_t last = std::min(codes_end - 1, first + static_cast<uint32_t>(rng() % widest));
    set.Insert(static_cast<uint16_t>(first), static_cast<uint16_t>(last));
    for (uint32_t code = first; code <= last; ++code) {
      reference.insert(static_cast<uint16_t>(code));
    }
  }
  set.Finish();
  constexpr size_t kBlocks = 40;
  AlignedBuffer<uint16_t> codes(kBlocks * kCodeSetBlock);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<uint16_t>(i % 4 == 0 ? rng() : rng() % codes_end);
  }
  codes[5] = 0xFFFF;
  uint32_t lanes[kBlocks];
  CodeLanes(codes.data(), kBlocks, set, lanes);
  for (size_t i = 0; i < codes.size(); ++i) {
    const bool expected = reference.contains(codes[i]);
    ASSERT_EQ((lanes[i / kCodeSetBlock] >> (i % kCodeSetBlock) & 1) != 0, expected)
        << "code " << codes[i] << " of " << codes_end << ", " << ranges << " ranges";
    ASSERT_EQ(set.Contains(codes[i]), expected) << codes[i];
  }
}

// Runs of all lengths, whose codes are numbered by run and place.
TEST(CodeMatches, NumbersOfAllInTheSetOnEveryTarget) {
  ForEachTarget([] {
    std::mt19937 rng(1);
    for (const uint16_t codes_end : {uint16_t{3}, uint16_t{1000}, uint16_t{40'000}}) {
      for (const int ranges : {0, 1, 30}) {
        CodeSet set;
        for (int r = 0; r < ranges; ++r) set.Insert(static_cast<uint16_t>(rng() % codes_end));
        set.Finish();
        std::vector<AlignedBuffer<uint16_t>> codes;
        std::vector<CodeRun> runs;
        std::vector<uint32_t> expected;
        size_t all = 0;
        for (uint32_t blocks = 0; blocks <= CodeRun::kMostBlocks; ++blocks) {
          codes.emplace_back(blocks * kCodeSetBlock);
          for (uint32_t i = 0; i < blocks * kCodeSetBlock; ++i) {
            codes.back()[i] = static_cast<uint16_t>(rng() % codes_end);
            if (set.Contains(codes.back()[i])) expected.push_back(blocks * CodeRun::kMostCodes + i);
          }
          runs.push_back({codes.back().data(), blocks});
          all += codes.back().size();
        }
        std::vector<uint32_t> found(all + kCodeMatchesSlack);
        found.resize(CodeMatches(runs, set, found.data()));
        ASSERT_EQ(found, expected) << codes_end << " codes, " << ranges << " ranges";
      }
    }
  });
}

TEST(CodeLanes, EveryLaneOnEveryTarget) {
  ForEachTarget([] {
    uint32_t seed = 0;
    for (const uint32_t codes_end : {1u, 40u, 1024u, 1025u, 2048u, 5000u, 65'535u}) {
      for (const size_t ranges : {0, 1, 2, 4, 5, 60, 1000}) {
        for (const uint32_t widest : {1u, 100u}) {
          ExpectLanes(codes_end, ranges, widest, ++seed);
        }
      }
    }
  });
}

TEST(CodeLanes, MergesRanges) {
  CodeSet set;
  set.Insert(10, 20);
  set.Insert(5);
  set.Insert(6, 9);
  set.Insert(15, 18);
  set.Finish();
  ASSERT_EQ(set.ranges().size(), 1u);
  EXPECT_EQ(set.ranges()[0].first, 5);
  EXPECT_EQ(set.last(), 20);
}

}  // namespace
}  // namespace tessera
