// The n-th operation on the disk fails while long lists are split: what the store holds then is
// whole, every code stands for its vector, and splitting goes on where it was.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/engine/record_keys.h"
#include "server/fsck/fsck.h"
#include "server/storage/rocksdb_store.h"
#include "tests/environment.h"
#include "tests/fault/split_workload.h"
#include "tests/server/storage/child_process.h"
#include "tests/server/storage/faulty_env.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr uint64_t kLastOperation = 20'000;

class SplitFaultTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const absl::Status prepared = SplitWorkload::Prepare(prepared_);
    ASSERT_TRUE(prepared.ok()) << prepared;
  }

  // Whether the fault happened.
  bool RunWithFaultAt(uint64_t operation) {
    std::filesystem::remove_all(data_dir_);
    std::filesystem::copy(prepared_, data_dir_, std::filesystem::copy_options::recursive);
    ChildProcess child({TESSERA_PROGRAM, data_dir_, GetParam(), std::to_string(operation)});
    const int state = child.Wait();
    const uint64_t acknowledged = child.LastNumber(0);
    EXPECT_TRUE(WIFEXITED(state)) << "signal " << WTERMSIG(state);
    const int code = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
    EXPECT_TRUE(code == 0 || code == (GetParam() == "power" ? kPowerCutExitCode : 1))
        << "exit code " << code;
    CheckStore(acknowledged);
    return code != 0;
  }

  void CheckStore(uint64_t acknowledged) {
    const auto report = CheckDataDirectory(data_dir_, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
    EXPECT_EQ(report->leftover_records, 0u);
    const size_t moved = MovedCentroids();
    with_moves_ += moved > 0;
    const absl::Status as_acknowledged = SplitWorkload::Check(data_dir_, acknowledged);
    if (as_acknowledged.ok()) return;
    const absl::Status with_the_last = SplitWorkload::Check(data_dir_, acknowledged + 1);
    EXPECT_TRUE(with_the_last.ok()) << as_acknowledged << "; " << with_the_last;
  }

  size_t MovedCentroids() const {
    const auto store = OpenRocksDbStore({.path = data_dir_ + "/store", .free_disk_bytes_min = 0});
    EXPECT_TRUE(store.ok()) << store.status();
    size_t moved = 0;
    auto it = (*store)->Scan(Family::kCodebooks, "", "", /*bulk=*/false);
    for (; it->Valid(); it->Next()) moved += IsCentroidKey(it->key());
    return moved;
  }

  TempDir dir_{TempDir::Place::kMemory};
  const std::string prepared_ = dir_.path() + "/prepared";
  const std::string data_dir_ = dir_.path() + "/data";
  size_t moved_at_the_end_ = 0;
  int with_moves_ = 0;
};

// TESSERA_FAULT_STEP=1 lets every single operation fail, 3 every third; else the steps grow. From
// TESSERA_FAULT_FIRST to before TESSERA_FAULT_END, if they say so.
TEST_P(SplitFaultTest, LeavesAStoreThatIsWhole) {
  const uint64_t step = FromEnvironment("TESSERA_FAULT_STEP", 0);
  ASSERT_FALSE(RunWithFaultAt(kLastOperation)) << "the run has no end";
  moved_at_the_end_ = MovedCentroids();
  ASSERT_GT(moved_at_the_end_, 0u) << "no list was split";
  int fired = 0;
  const uint64_t first = FromEnvironment("TESSERA_FAULT_FIRST", 1);
  const uint64_t end = FromEnvironment("TESSERA_FAULT_END", kLastOperation);
  uint64_t operation = first;
  for (; operation < end && !HasFailure(); operation += step > 0 ? step : 1 + operation / 6) {
    SCOPED_TRACE(absl::StrCat(GetParam(), " at operation ", operation));
    if (!RunWithFaultAt(operation)) break;
    ++fired;
  }
  std::cout << fired << " faults (" << GetParam() << "), the last at operation " << operation
            << "; " << moved_at_the_end_ << " centroids move, and had moved in " << with_moves_
            << " runs" << std::endl;
  if (first != 1 || end != kLastOperation) return;  // a part: the others may have met more
  EXPECT_GT(with_moves_, 0) << "no run was met after the first centroid had moved";
  EXPECT_GE(fired, 12) << "too few faults to mean anything";
}

INSTANTIATE_TEST_SUITE_P(Faults, SplitFaultTest,
                         testing::Values("eio", "enospc", "short", "power", "read"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tessera
