// One flipped bit anywhere in a data directory is found, and the file or record named, or does no
// harm: the same answers as before. No wrong answer, no crash, no hang.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/storage/rocksdb_store.h"
#include "tests/environment.h"
#include "tests/golden/golden_store.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

// What a message of damage has to name.
bool NamesFileOrRecord(absl::string_view message) {
  for (const char* name : {".sst", ".log", "MANIFEST", "CURRENT", "HIGH_WATER", "WAL", "record",
                           "collection ", "key in family"}) {
    if (absl::StrContains(message, name)) return true;
  }
  return false;
}

class BitFlipTest : public testing::Test {
 protected:
  static constexpr uint64_t kFlips = 200;

  void SetUp() override {
    ASSERT_EQ(WriteGoldenStore(original_), absl::OkStatus());
    for (const auto& entry : fs::recursive_directory_iterator(original_)) {
      if (entry.is_regular_file() && entry.file_size() > 0) {
        files_.push_back(fs::relative(entry.path(), original_));
        bytes_ += entry.file_size();
      }
    }
    const auto answers = Answers(original_);
    ASSERT_TRUE(answers.ok()) << answers.status();
    expected_ = *answers;
    ASSERT_GT(expected_.size(), 10'000u);
  }

  // All that a copy of the data directory answers.
  absl::StatusOr<std::string> Answers(const std::string& data_dir) {
    fs::remove_all(copy_);
    fs::copy(data_dir, copy_, fs::copy_options::recursive);
    return AnswersOfCopy();
  }
  absl::StatusOr<std::string> AnswersOfCopy() {
    InlineExecutor executor;
    ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, OpenGoldenStore(copy_, executor));
    ASSIGN_OR_RETURN(const std::string answers, DescribeStore(*engine));
    // A damaged snapshot is its own matter: the store does not suffer.
    const auto restored = DescribeSnapshots(*engine);
    if (!restored.ok()) {
      ExpectDamage(restored.status(), "a snapshot");
      ++found_in_snapshots_;
      return answers + restored_;
    }
    if (restored_.empty()) restored_ = *restored;
    return answers + *restored;
  }

  static void Flip(const fs::path& path, uint64_t bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(bit / 8));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(bit / 8));
    file.put(static_cast<char>(byte ^ (1 << bit % 8)));
    ASSERT_TRUE(file.good());
  }

  static void ExpectDamage(const absl::Status& status, const std::string& where) {
    // A version that became a later one cannot be told from a later one, where no checksum covers
    // it.
    EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsFailedPrecondition(status))
        << where << ": " << status;
    EXPECT_TRUE(NamesFileOrRecord(status.message())) << where << ": " << status;
  }

  // A file, each as likely as the other, or a byte of all, each as likely as the other.
  std::pair<std::string, uint64_t> ChooseBit(std::mt19937_64& random) {
    std::string file = files_[random() % files_.size()];
    if (random() % 2 == 0) {
      uint64_t byte = random() % bytes_;
      for (const std::string& name : files_) {
        file = name;
        const uint64_t size = fs::file_size(original_ + "/" + name);
        if (byte < size) break;
        byte -= size;
      }
    }
    return {file, random() % (8 * fs::file_size(original_ + "/" + file))};
  }

  TempDir dir_{TempDir::Place::kMemory};
  const std::string original_ = dir_.path() + "/original";
  const std::string copy_ = dir_.path() + "/copy";
  std::vector<std::string> files_;
  uint64_t bytes_ = 0;
  std::string expected_;
  std::string restored_;
  uint64_t found_in_snapshots_ = 0;
};

// TESSERA_FAULT_FLIPS makes the run longer, TESSERA_FAULT_SEED repeats it.
TEST_F(BitFlipTest, IsFoundOrHarmless) {
  const uint64_t flips = FromEnvironment("TESSERA_FAULT_FLIPS", kFlips);
  const uint64_t seed = FromEnvironment("TESSERA_FAULT_SEED", std::random_device()());
  std::cout << "seed " << seed << std::endl;
  std::mt19937_64 random(seed);
  uint64_t found = 0;
  uint64_t harmless = 0;
  for (uint64_t i = 0; i < flips && !HasFailure(); ++i) {
    const auto [file, bit] = ChooseBit(random);
    SCOPED_TRACE(absl::StrCat("bit ", bit, " of ", file, ", seed ", seed));
    fs::remove_all(copy_);
    fs::copy(original_, copy_, fs::copy_options::recursive);
    ASSERT_NO_FATAL_FAILURE(Flip(copy_ + "/" + file, bit));
    const uint64_t before = found_in_snapshots_;
    const auto answers = AnswersOfCopy();
    if (!answers.ok()) {
      ExpectDamage(answers.status(), file);
      ++found;
      continue;
    }
    EXPECT_EQ(*answers, expected_) << "other answers, and no error";
    harmless += found_in_snapshots_ == before;
  }
  std::cout << flips << " flips in " << files_.size() << " files of " << bytes_
            << " bytes: " << found << " found in the store, " << found_in_snapshots_
            << " in the snapshot, " << harmless << " harmless" << std::endl;
  EXPECT_GT(found, flips / 10) << "too few flips met anything";
}

}  // namespace
}  // namespace tessera
