#include "index/ivf/entry_gatherer.h"

#include <algorithm>

#include "index/ivf/entry_lanes.h"
#include "index/ivf/inverted_lists.h"
#include "index/ivf/lists_snapshot.h"
#include "tests/index/ivf/ivf_test_util.h"

namespace tessera {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

constexpr size_t kVectors = 6000;
constexpr uint32_t kLists = 70;
constexpr uint16_t kCodes = 50;

class EntryGathererTest : public testing::Test {
 protected:
  EntryGathererTest()
      : vectors_(test::RandomVectors(kVectors, 16, 1)),
        codebook_(test::TrainCodebook(Metric::kL2, vectors_, kLists, 4, 4)),
        lists_(codebook_) {
    // Twice, so that lists have tails.
    Append(0, kVectors / 2);
    Append(kVectors / 2, kVectors);
    for (Slot slot = 0; slot < kVectors; ++slot) codes_->Set(slot, CodeOf(slot));
    for (uint32_t list = 0; list < kLists; ++list) all_.push_back({0, list});
  }

  static uint16_t CodeOf(Slot slot) { return static_cast<uint16_t>(1 + slot * 7 % kCodes); }

  // Every third vector goes into the last list: that is several runs of blocks.
  void Append(size_t begin, size_t end) {
    EncodedVectors encoded = test::Encode(*codebook_, vectors_.view().Rows(begin, end - begin));
    for (size_t i = 0; i < end - begin; i += 3) encoded.lists[i] = kLists - 1;
    lists_.Append(encoded, test::Iota(end - begin, static_cast<Slot>(begin)).data());
  }

  static EntryFilter Only(const EntryTest& test) {
    return {{{std::make_shared<EntryTest>(test), false}}};
  }
  // Codes of a second field, that follow no pattern of the first's.
  static uint16_t OtherCodeOf(Slot slot) { return static_cast<uint16_t>(1 + slot / 3 % 20); }

  std::vector<Slot> Gather(std::span<const Neighbor> which, const EntryTest& test,
                           const SlotSet& deleted = {}) {
    return Gather(which, Only(test), deleted);
  }
  std::vector<Slot> Gather(std::span<const Neighbor> which, const EntryFilter& filter,
                           const SlotSet& deleted = {}) {
    std::vector<Slot> slots, told;
    gatherer_.Gather(
        *lists_.Snapshot(), which, filter, deleted, &slots,
        [&](std::span<const Slot> some) { told.insert(told.end(), some.begin(), some.end()); });
    EXPECT_EQ(told, slots);
    return slots;
  }

  template <class Allowed>
  std::vector<Slot> Expected(std::span<const Neighbor> which, const Allowed& allowed) {
    std::vector<Slot> expected;
    for (const Neighbor& list : which) {
      const std::vector<Slot> slots = lists_.Snapshot()->Slots(list.slot);
      std::copy_if(slots.begin(), slots.end(), std::back_inserter(expected), allowed);
    }
    return expected;
  }

  // Of all lists, block by block.
  std::vector<Slot> ByLanes(const EntryFilter& filter, const SlotSet& deleted) {
    const auto snapshot = lists_.Snapshot();
    const LutScanShape& shape = snapshot->tables().shape;
    std::vector<Slot> found;
    const auto scan = [&](const BlockMemory& memory, const uint8_t* block) {
      uint32_t lanes = 0;
      EntryLanes(filter, shape, memory, block, 1, deleted, &lanes);
      for (uint32_t lane = 0; lane < kLutScanBlockVectors; ++lane) {
        if ((lanes >> lane & 1) != 0) found.push_back(LutScanSlots(shape, block)[lane]);
      }
    };
    for (const Neighbor& list : all_) {
      const InvertedList& l = snapshot->list(list.slot);
      for (uint32_t b = 0; b < l.num_blocks; ++b) {
        scan(*l.blocks_owner, l.blocks + b * shape.block_bytes());
      }
      if (l.tail != nullptr) scan(*l.tail_owner, l.tail);
    }
    return found;
  }

  Matrix vectors_;
  std::shared_ptr<const Codebook> codebook_;
  InvertedLists lists_;
  std::shared_ptr<SlotCodes> codes_ = std::make_shared<SlotCodes>();
  std::vector<Neighbor> all_;
  EntryGatherer gatherer_;
};

TEST_F(EntryGathererTest, FindsWhatItsCodeAllowsInTheOrderOfTheLists) {
  EntryTest filter;
  filter.codes = codes_;
  filter.certain.Insert(7, 9);
  filter.Finish();
  const auto allowed = [](Slot slot) { return CodeOf(slot) >= 7 && CodeOf(slot) <= 9; };
  std::mt19937 rng(1);
  for (size_t lists = 0; lists <= kLists; ++lists) {
    std::shuffle(all_.begin(), all_.end(), rng);
    const auto some = std::span<const Neighbor>(all_).first(lists);
    ASSERT_THAT(Gather(some, filter), ElementsAreArray(Expected(some, allowed)));
  }
}

TEST_F(EntryGathererTest, WhereTheCodeDoesNotTellTheSlotDoes) {
  EntryTest filter;
  filter.codes = codes_;
  filter.certain.Insert(3);
  filter.possible.Insert(20);
  std::set<Slot> some;
  for (Slot slot = 0; slot < kVectors; ++slot) {
    if (CodeOf(slot) == 20 && slot % 3 == 0) some.insert(slot);
  }
  ASSERT_GT(some.size(), 10u);
  filter.some.assign(some.begin(), some.end());
  filter.Finish();
  const auto allowed = [&](Slot slot) { return CodeOf(slot) == 3 || some.contains(slot); };
  EXPECT_THAT(Gather(all_, filter), ElementsAreArray(Expected(all_, allowed)));
}

TEST_F(EntryGathererTest, APossibleCodeWithoutSlotsAllowsNone) {
  EntryTest filter;
  filter.codes = codes_;
  filter.certain.Insert(3);
  filter.possible.Insert(20);
  filter.Finish();
  const auto allowed = [](Slot slot) { return CodeOf(slot) == 3; };
  EXPECT_THAT(Gather(all_, filter), ElementsAreArray(Expected(all_, allowed)));
}

TEST_F(EntryGathererTest, LeavesOutWhatIsDeleted) {
  EntryTest filter;
  filter.codes = codes_;
  filter.certain.Insert(1, kCodes);
  filter.Finish();
  SlotSet deleted;
  for (Slot slot = 0; slot < kVectors; slot += 5) deleted.Insert(slot);
  const auto allowed = [](Slot slot) { return slot % 5 != 0; };
  EXPECT_THAT(Gather(all_, filter, deleted), ElementsAreArray(Expected(all_, allowed)));
}

TEST_F(EntryGathererTest, CodesThatAreKeptNowhereAreReadEachTime) {
  std::vector<std::shared_ptr<SlotCodes>> others;
  for (size_t i = 0; i < limits::kListCodesMax; ++i) {
    EntryTest other;
    other.codes = others.emplace_back(std::make_shared<SlotCodes>());
    other.certain.Insert(1);
    other.Finish();
    EXPECT_THAT(Gather(all_, other), IsEmpty());
  }
  EntryTest filter;
  filter.codes = codes_;
  filter.certain.Insert(11);
  filter.Finish();
  const auto allowed = [](Slot slot) { return CodeOf(slot) == 11; };
  EXPECT_THAT(Gather(all_, filter), ElementsAreArray(Expected(all_, allowed)));
}

// All must be met, the negated ones must not; where codes do not tell, slots do.
TEST_F(EntryGathererTest, EntriesMustMeetEveryTerm) {
  auto other_codes = std::make_shared<SlotCodes>();
  for (Slot slot = 0; slot < kVectors; ++slot) other_codes->Set(slot, OtherCodeOf(slot));
  auto first = std::make_shared<EntryTest>();
  first->codes = codes_;
  first->certain.Insert(5, 30);
  first->Finish();
  auto second = std::make_shared<EntryTest>();
  second->codes = other_codes;
  second->certain.Insert(2, 9);
  second->possible.Insert(12);
  for (Slot slot = 0; slot < kVectors; slot += 2) {
    if (OtherCodeOf(slot) == 12) second->some.push_back(slot);
  }
  ASSERT_GT(second->some.size(), 10u);
  second->Finish();
  const auto meets_first = [](Slot slot) { return CodeOf(slot) >= 5 && CodeOf(slot) <= 30; };
  const auto meets_second = [](Slot slot) {
    const uint16_t code = OtherCodeOf(slot);
    return (code >= 2 && code <= 9) || (code == 12 && slot % 2 == 0);
  };
  SlotSet deleted;
  for (Slot slot = 0; slot < kVectors; slot += 7) deleted.Insert(slot);
  for (const bool negated : {false, true}) {
    const EntryFilter filter{{{first, false}, {second, negated}}};
    const auto allowed = [&](Slot slot) {
      return meets_first(slot) && meets_second(slot) != negated;
    };
    EXPECT_THAT(Gather(all_, filter), ElementsAreArray(Expected(all_, allowed)));
    EXPECT_THAT(Gather(all_, filter, deleted), ElementsAreArray(Expected(all_, [&](Slot slot) {
                  return allowed(slot) && slot % 7 != 0;
                })));
    // The same by lanes of blocks, and of slots in any order.
    EXPECT_EQ(ByLanes(filter, deleted), Gather(all_, filter, deleted));
    std::mt19937 rng(3);
    for (const size_t n : {0, 1, 31, 32, 33, 511, 512, 513, 6000}) {
      std::vector<Slot> slots = test::Iota(kVectors, 0);
      std::shuffle(slots.begin(), slots.end(), rng);
      slots.resize(n);
      std::vector<Slot> expected;
      std::copy_if(slots.begin(), slots.end(), std::back_inserter(expected), allowed);
      KeepAllowed(filter.terms, &slots);
      EXPECT_EQ(slots, expected) << n;
    }
  }
}

}  // namespace
}  // namespace tessera
