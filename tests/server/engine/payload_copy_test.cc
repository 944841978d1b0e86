#include "server/engine/payload_copy.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "index/base/limits.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

TEST(PayloadCopyRows, HoldNearlyAllPayloads) {
  // Length, payload and checksum of 32 bytes, or as many more as are needed.
  EXPECT_EQ(PayloadCopy::RowBytesFor({10}), 28u);
  EXPECT_EQ(PayloadCopy::RowBytesFor({26}), 28u);
  EXPECT_EQ(PayloadCopy::RowBytesFor({27}), 60u);
  EXPECT_EQ(PayloadCopy::RowBytesFor({limits::kCopiedPayloadBytesMax}), 1020u);
  std::vector<size_t> lengths(1'000, 100);
  lengths[17] = 60'000;
  EXPECT_EQ(PayloadCopy::RowBytesFor(lengths), 124u);
}

TEST(PayloadCopyRows, OfAnotherSizeAreNone) {
  for (size_t length : {size_t{1}, limits::kCopiedPayloadBytesMax}) {
    EXPECT_TRUE(PayloadCopy::IsRowBytes(*PayloadCopy::RowBytesFor({length}))) << length;
  }
  EXPECT_FALSE(PayloadCopy::IsRowBytes(0));
  EXPECT_FALSE(PayloadCopy::IsRowBytes(2));
  EXPECT_FALSE(PayloadCopy::IsRowBytes(size_t{1} << 31));
}

TEST(PayloadCopyRows, AreNotMadeWhereTheyDoNotServe) {
  EXPECT_EQ(PayloadCopy::RowBytesFor({}), std::nullopt);
  EXPECT_EQ(PayloadCopy::RowBytesFor({0, 0, 0}), std::nullopt);
  EXPECT_EQ(PayloadCopy::RowBytesFor({limits::kCopiedPayloadBytesMax + 1}), std::nullopt);
  // One in twenty has a payload of 500 bytes: rows for it would take 20 times the room.
  std::vector<size_t> lengths(1'000, 0);
  for (size_t i = 0; i < lengths.size(); i += 20) lengths[i] = 500;
  EXPECT_EQ(PayloadCopy::RowBytesFor(lengths), std::nullopt);
}

class PayloadCopyFile : public ::testing::Test {
 protected:
  static constexpr size_t kRowBytes = 28;

  PayloadCopyFile() {
    auto file = RowFile::Open({.path = directory_.path() + "/1.payloads",
                               .collection = 1,
                               .create_time_ms = 1,
                               .row_bytes = kRowBytes},
                              /*sequence=*/0);
    EXPECT_TRUE(file.ok()) << file.status();
    copy_ = std::make_unique<PayloadCopy>(*std::move(file), kRowBytes);
    copy_->file().SetComplete();
  }
  std::map<size_t, std::string> Read(const std::vector<Slot>& slots, bool may_wait,
                                     bool* all = nullptr) const {
    std::map<size_t, std::string> payloads;
    const bool done = copy_->Read(
        slots, may_wait, [&](size_t i, std::string_view payload) { payloads[i] = payload; });
    if (all != nullptr) *all = done;
    return payloads;
  }

  TempDir directory_;
  std::unique_ptr<PayloadCopy> copy_;
};

TEST_F(PayloadCopyFile, GivesWhatWasWritten) {
  const std::string bytes("{\"a\": \"\0\xFF\"}", 12);
  const std::string longest(kRowBytes - 2, 'x');
  copy_->Write(std::vector<Slot>{0, 1, 2, 5}, std::vector<std::string>{"{}", bytes, "", longest});
  copy_->Write(std::vector<Slot>{7, 8}, {});
  const std::map<size_t, std::string> all = {{0, longest}, {1, bytes}, {2, ""}, {3, "{}"}, {4, ""}};
  EXPECT_EQ(Read({5, 1, 2, 0, 8}, /*may_wait=*/true), all);
  EXPECT_EQ(Read({5, 1, 2, 0, 8}, /*may_wait=*/false), all);
}

TEST_F(PayloadCopyFile, LeavesWhatItDoesNotHaveToTheStore) {
  copy_->Write(std::vector<Slot>{0, 1},
               std::vector<std::string>{"{}", std::string(kRowBytes, 'x')});
  const std::map<size_t, std::string> first = {{0, "{}"}};
  bool all = false;
  EXPECT_EQ(Read({0, 1, 9}, /*may_wait=*/true, &all), first);
  EXPECT_TRUE(all);
  EXPECT_EQ(Read({0, 1}, /*may_wait=*/false, &all), first);
  EXPECT_FALSE(all);
  Read({0, 9}, /*may_wait=*/false, &all);
  EXPECT_FALSE(all);
}

TEST_F(PayloadCopyFile, FillsWhatHasNotBeenWrittenMeanwhile) {
  copy_.reset();
  auto file = RowFile::Open({.path = directory_.path() + "/2.payloads",
                             .collection = 2,
                             .create_time_ms = 1,
                             .row_bytes = kRowBytes},
                            /*sequence=*/0);
  ASSERT_TRUE(file.ok()) << file.status();
  copy_ = std::make_unique<PayloadCopy>(*std::move(file), kRowBytes);
  copy_->Write(std::vector<Slot>{1}, std::vector<std::string>{"{\"new\":1}"});
  copy_->Fill(std::vector<Slot>{0, 1, 2}, std::vector<std::string>{"a", "b", "c"});
  copy_->file().SetComplete();
  const std::map<size_t, std::string> expected = {{0, "a"}, {1, "{\"new\":1}"}, {2, "c"}};
  EXPECT_EQ(Read({0, 1, 2}, /*may_wait=*/false), expected);
}

}  // namespace
}  // namespace tessera
