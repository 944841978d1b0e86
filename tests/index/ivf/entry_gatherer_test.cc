#include "index/ivf/entry_gatherer.h"

#include <algorithm>

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

  Matrix vectors_;
  std::shared_ptr<const Codebook> codebook_;
  InvertedLists lists_;
  std::shared_ptr<SlotCodes> codes_ = std::make_shared<SlotCodes>();
  std::vector<Neighbor> all_;
  EntryGatherer gatherer_;
};

TEST_F(EntryGathererTest, FindsWhatItsCodeAllowsInTheOrderOfTheLists) {
  EntryFilter filter;
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
  EntryFilter filter;
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
  EntryFilter filter;
  filter.codes = codes_;
  filter.certain.Insert(3);
  filter.possible.Insert(20);
  filter.Finish();
  const auto allowed = [](Slot slot) { return CodeOf(slot) == 3; };
  EXPECT_THAT(Gather(all_, filter), ElementsAreArray(Expected(all_, allowed)));
}

TEST_F(EntryGathererTest, LeavesOutWhatIsDeleted) {
  EntryFilter filter;
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
    EntryFilter other;
    other.codes = others.emplace_back(std::make_shared<SlotCodes>());
    other.certain.Insert(1);
    other.Finish();
    EXPECT_THAT(Gather(all_, other), IsEmpty());
  }
  EntryFilter filter;
  filter.codes = codes_;
  filter.certain.Insert(11);
  filter.Finish();
  const auto allowed = [](Slot slot) { return CodeOf(slot) == 11; };
  EXPECT_THAT(Gather(all_, filter), ElementsAreArray(Expected(all_, allowed)));
}

}  // namespace
}  // namespace tessera
