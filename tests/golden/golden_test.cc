// Stores that earlier versions wrote open, and answer byte for byte what they answered then; a
// store of a later format is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/engine/records.h"
#include "server/fsck/fsck.h"
#include "server/storage/rocksdb_store.h"
#include "tests/golden/golden_store.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> Versions() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(TESSERA_TEST_DATA_DIR "/golden")) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  // The stored data directory is never opened itself.
  void SetUp() override {
    folder_ = absl::StrCat(TESSERA_TEST_DATA_DIR "/golden/", GetParam());
    fs::copy(folder_ + "/data", data_dir_, fs::copy_options::recursive);
  }

  std::string Expected() const {
    std::ifstream file(folder_ + "/answers.txt", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TempDir dir_;
  const std::string data_dir_ = dir_.path() + "/data";
  std::string folder_;
  InlineExecutor executor_;
};

TEST_P(GoldenTest, OpensAndAnswersWhatItDid) {
  const auto report = CheckDataDirectory(data_dir_, nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
  const auto engine = OpenGoldenStore(data_dir_, executor_);
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto answers = DescribeStore(**engine);
  ASSERT_TRUE(answers.ok()) << answers.status();
  const auto restored = DescribeSnapshots(**engine);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_GT(answers->size(), 5'000u);
  EXPECT_GT(restored->size(), 5'000u);
  EXPECT_EQ(*answers + *restored, Expected());
}

TEST_P(GoldenTest, MayHoldAnUnfinishedDeletion) {
  auto store = OpenRocksDbStore({.path = data_dir_ + "/store"});
  ASSERT_TRUE(store.ok()) << store.status();
  const KeyRange deletions = DeletionRange(1);
  auto it = (*store)->Scan(Family::kMeta, deletions.begin, deletions.end, /*bulk=*/false);
  EXPECT_EQ(it->Valid(), GetParam() >= "4");
}

// And so is refused by the version that wrote it, which would not see all that is in it.
TEST_P(GoldenTest, IsOfThePresentFormatOnceItHasBeenOpened) {
  {
    const auto engine = OpenGoldenStore(data_dir_, executor_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    ASSERT_TRUE((*engine)->Close().ok());
  }
  {
    auto store = OpenRocksDbStore({.path = data_dir_ + "/store"});
    ASSERT_TRUE(store.ok()) << store.status();
    const auto value = (*store)->Get(Family::kMeta, FormatKey());
    ASSERT_TRUE(value.ok() && value->has_value());
    uint32_t format = 0;
    ASSERT_TRUE(DecodeFormat(FormatKey(), **value, &format).ok());
    EXPECT_EQ(format, kStoreFormat);
    size_t centroids = 0;
    auto it = (*store)->Scan(Family::kCodebooks, "", "", /*bulk=*/false);
    for (; it->Valid(); it->Next()) centroids += IsCentroidKey(it->key());
    if (GetParam() >= "2") {
      EXPECT_GT(centroids, 0u);
    }
    const auto contents = (*store)->Get(Family::kMeta, IndexContentsKey(1));
    EXPECT_TRUE(contents.ok() && contents->has_value()) << "those of an older store too by now";
  }
  const auto engine = OpenGoldenStore(data_dir_, executor_);
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto answers = DescribeStore(**engine);
  ASSERT_TRUE(answers.ok()) << answers.status();
  EXPECT_TRUE(absl::StartsWith(Expected(), *answers));
}

TEST_P(GoldenTest, LaterFormatIsRefused) {
  {
    auto store = OpenRocksDbStore({.path = data_dir_ + "/store"});
    ASSERT_TRUE(store.ok()) << store.status();
    auto batch = (*store)->NewBatch();
    std::string value;
    EncodeFormat(FormatKey(), kStoreFormat + 1, &value);
    batch->Put(Family::kMeta, FormatKey(), value);
    ASSERT_TRUE((*store)->Commit(*batch, Durability::kSync).ok());
  }
  const absl::Status refused = OpenGoldenStore(data_dir_, executor_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), absl::StrCat("has format ", kStoreFormat + 1)))
      << refused;
}

INSTANTIATE_TEST_SUITE_P(Versions, GoldenTest, testing::ValuesIn(Versions()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

}  // namespace
}  // namespace tessera
