// The n-th operation on the disk fails, for n from 1 until a life of the engine no longer meets it:
// an error, no crash, and the reopened store holds what was acknowledged, and at most the one write
// that was not, whole.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/fsck/fsck.h"
#include "server/storage/rocksdb_store.h"
#include "tests/environment.h"
#include "tests/fault/workload.h"
#include "tests/server/storage/child_process.h"
#include "tests/server/storage/faulty_env.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr uint64_t kLastOperation = 20'000;

class EngineFaultTest : public testing::TestWithParam<std::string> {
 protected:
  // Whether the fault happened.
  bool RunWithFaultAt(uint64_t operation) {
    const std::string data_dir = dir_.path() + "/data";
    std::filesystem::remove_all(data_dir);
    std::filesystem::create_directories(data_dir);
    ChildProcess child({TESSERA_PROGRAM, data_dir, GetParam(), std::to_string(operation)});
    const int state = child.Wait();
    const uint64_t acknowledged = child.LastNumber(0);
    CheckEnd(state);
    CheckStore(data_dir, acknowledged);
    acknowledged_ += acknowledged;
    return !(WIFEXITED(state) && WEXITSTATUS(state) == 0);
  }

  void CheckEnd(int state) {
    ASSERT_TRUE(WIFEXITED(state)) << "signal " << WTERMSIG(state);
    const int code = WEXITSTATUS(state);
    EXPECT_NE(code, 3) << "a write was taken after one that had failed";
    EXPECT_TRUE(code == 0 || code == (GetParam() == "power" ? kPowerCutExitCode : 1)) << code;
  }

  void CheckStore(const std::string& data_dir, uint64_t acknowledged) {
    {
      auto store = OpenRocksDbStore({.path = data_dir + "/store", .free_disk_bytes_min = 0});
      ASSERT_TRUE(store.ok()) << store.status();
      InlineExecutor executor;
      const auto engine = Workload::Open(data_dir, *std::move(store), executor);
      ASSERT_TRUE(engine.ok()) << engine.status();
      const auto held = Workload::Held(**engine);
      ASSERT_TRUE(held.ok()) << held.status();
      EXPECT_TRUE(*held == Workload::After(acknowledged) ||
                  *held == Workload::After(acknowledged + 1))
          << held->size() << " points after " << acknowledged << " acknowledged writes";
    }
    const auto report = CheckDataDirectory(data_dir, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
  }

  TempDir dir_{TempDir::Place::kMemory};
  uint64_t acknowledged_ = 0;
};

// TESSERA_FAULT_STEP=1 lets every single operation fail, 3 every third; else the steps grow. From
// TESSERA_FAULT_FIRST to before TESSERA_FAULT_END, if they say so.
TEST_P(EngineFaultTest, LosesNothingAndStaysWhole) {
  const uint64_t step = FromEnvironment("TESSERA_FAULT_STEP", 0);
  int fired = 0;
  const uint64_t first = FromEnvironment("TESSERA_FAULT_FIRST", 1);
  const uint64_t end = FromEnvironment("TESSERA_FAULT_END", kLastOperation);
  uint64_t operation = first;
  for (; operation < end && !HasFailure(); operation += step > 0 ? step : 1 + operation / 4) {
    SCOPED_TRACE(absl::StrCat(GetParam(), " at operation ", operation));
    if (!RunWithFaultAt(operation)) break;
    ++fired;
  }
  std::cout << fired << " faults (" << GetParam() << "), the last at operation " << operation
            << std::endl;
  EXPECT_LT(operation, kLastOperation) << "the fault always fired: the run has no end";
  if (first != 1 || end != kLastOperation) return;  // a part: the others may have met more
  EXPECT_GE(fired, 12) << "too few faults to mean anything";
  EXPECT_GE(acknowledged_, 50u) << "too few writes to mean anything";
}

INSTANTIATE_TEST_SUITE_P(Faults, EngineFaultTest,
                         testing::Values("eio", "enospc", "short", "power", "read"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tessera
