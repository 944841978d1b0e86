#include "server/storage/high_water.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

class HighWaterTest : public testing::Test {
 protected:
  uint64_t Reopened() {
    auto file = HighWater::Open(path_);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? (*file)->mark() : 0;
  }
  void Flip(size_t offset) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 1));
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/HIGH_WATER";
};

TEST_F(HighWaterTest, NewFileIsZero) {
  EXPECT_EQ(Reopened(), 0u);
  EXPECT_EQ(Reopened(), 0u);
}

TEST_F(HighWaterTest, KeepsTheHighestMark) {
  auto file = HighWater::Open(path_);
  ASSERT_TRUE(file.ok());
  for (uint64_t mark : {5, 9, 7, 9, 1'000'000'007}) {
    ASSERT_EQ((*file)->Raise(mark), absl::OkStatus());
  }
  ASSERT_EQ((*file)->Sync(), absl::OkStatus());
  EXPECT_EQ((*file)->mark(), 1'000'000'007u);
  EXPECT_EQ(Reopened(), 1'000'000'007u);
}

TEST_F(HighWaterTest, OneDamagedCopyLeavesTheOther) {
  {
    auto file = HighWater::Open(path_);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Raise(5), absl::OkStatus());
    ASSERT_EQ((*file)->Raise(9), absl::OkStatus());
  }
  // The copies start at bytes 0 and 4096; 5 went into one and 9 into the other.
  const uint64_t whole = Reopened();
  EXPECT_EQ(whole, 9u);
  Flip(4096 + 5);
  const uint64_t first = Reopened();
  Flip(4096 + 5);
  Flip(5);
  const uint64_t second = Reopened();
  EXPECT_EQ(std::min(first, second), 5u);
  EXPECT_EQ(std::max(first, second), 9u);
  Flip(4096 + 5);
  EXPECT_EQ(HighWater::Open(path_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(HighWaterTest, DamagedNewestCopyIsReplacedBeforeTheOlder) {
  for (uint64_t mark = 1; mark < 20; ++mark) {
    auto file = HighWater::Open(path_);
    ASSERT_TRUE(file.ok());
    EXPECT_EQ((*file)->mark(), mark - 1);
    ASSERT_EQ((*file)->Raise(mark), absl::OkStatus());
  }
}

// A file that was cut is found damaged, or still says a mark that was once true; never more.
TEST_F(HighWaterTest, EveryTruncationIsFoundOrSaysAnEarlierMark) {
  {
    auto file = HighWater::Open(path_);
    ASSERT_TRUE(file.ok());
    ASSERT_EQ((*file)->Raise(5), absl::OkStatus());
    ASSERT_EQ((*file)->Raise(9), absl::OkStatus());
  }
  int found = 0;
  for (uint64_t size = std::filesystem::file_size(path_) - 1; size > 0; --size) {
    std::filesystem::resize_file(path_, size);
    const auto mark = HighWater::Read(path_);
    found += absl::IsDataLoss(mark.status());
    EXPECT_TRUE(absl::IsDataLoss(mark.status()) || *mark == 5 || *mark == 9) << size;
  }
  EXPECT_GE(found, 15) << "a cut within the first copy leaves none";
}

}  // namespace
}  // namespace tessera
