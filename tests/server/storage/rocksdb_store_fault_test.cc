#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>

#include "server/storage/rocksdb_store.h"
#include "tests/server/storage/child_process.h"
#include "tests/server/storage/faulty_env.h"
#include "tests/server/storage/store_writer.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr uint64_t kCommits = 60;
constexpr uint64_t kLastOperation = 5'000;

class RocksDbStoreFaultTest : public testing::Test {
 protected:
  // Runs the writer on a store that holds some commits, with the fault at the given operation, and
  // checks what is left. Returns whether the fault happened.
  bool RunWithFaultAt(const std::string& fault, uint64_t operation) {
    const std::string path = dir_.path() + "/data";
    const uint64_t before = WriteFirst(path);
    ChildProcess second(
        {TESSERA_STORE_FAULTS, path, fault, std::to_string(operation), std::to_string(kCommits)});
    const int state = second.Wait();
    const uint64_t acknowledged = second.LastNumber(before);
    CheckEnd(state, fault, operation);
    CheckStore(path, acknowledged, before + kCommits, operation);
    acknowledged_ += acknowledged - before;
    return !(WIFEXITED(state) && WEXITSTATUS(state) == 0);
  }

  // A new store with some commits. Returns how many.
  uint64_t WriteFirst(const std::string& path) {
    std::filesystem::remove_all(path);
    ChildProcess first({TESSERA_STORE_FAULTS, path, "none", "0", "10"});
    EXPECT_EQ(first.Wait(), 0);
    return first.LastNumber(0);
  }

  void CheckEnd(int state, const std::string& fault, uint64_t operation) {
    ASSERT_TRUE(WIFEXITED(state)) << "signal " << WTERMSIG(state) << " at operation " << operation;
    const int code = WEXITSTATUS(state);
    EXPECT_NE(code, 3) << "a commit was taken after one that had failed, operation " << operation;
    EXPECT_TRUE(code == 0 || code == (fault.starts_with("power") ? kPowerCutExitCode : 1))
        << "exit code " << code << " at operation " << operation;
  }

  void CheckStore(const std::string& path, uint64_t acknowledged, uint64_t written,
                  uint64_t operation, uint64_t* found = nullptr) {
    auto store = OpenRocksDbStore({.path = path});
    ASSERT_TRUE(store.ok()) << store.status() << " after operation " << operation;
    const auto count = CountWritten(**store);
    ASSERT_TRUE(count.ok()) << count.status() << " after operation " << operation;
    ASSERT_GE(*count, acknowledged) << "after operation " << operation;
    ASSERT_LE(*count, written) << "after operation " << operation;
    if (found != nullptr) *found += *count;
  }

  // Every operation in turn near the start, then in growing steps, until a run is long enough not
  // to meet the fault.
  void RunAll(const std::string& fault) {
    int fired = 0;
    uint64_t operation = 1;
    for (; operation < kLastOperation && !HasFatalFailure(); operation += 1 + operation / 8) {
      if (!RunWithFaultAt(fault, operation)) break;
      ++fired;
    }
    EXPECT_LT(operation, kLastOperation) << "the fault always fired: the run has no end";
    EXPECT_GE(fired, 30) << "too few faults to mean anything";
    EXPECT_GE(acknowledged_, 200u) << "too few commits to mean anything";
    RecordProperty("faults", fired);
  }

  TempDir dir_{TempDir::Place::kMemory};
  uint64_t acknowledged_ = 0;
};

TEST_F(RocksDbStoreFaultTest, OneFailedWriteOrSyncLosesNothingAndEndsWriting) { RunAll("eio"); }

TEST_F(RocksDbStoreFaultTest, DiskThatFailsForGoodLosesNothing) { RunAll("from"); }

// What a kill cannot show: bytes that were written but not synced are gone.
TEST_F(RocksDbStoreFaultTest, PowerCutLosesNothingThatWasAcknowledged) { RunAll("power"); }

// What a power cut leaves of a log whose end it took is not to go on with the next log: writes that
// nobody synced may be lost, but only with all that came after them.
TEST_F(RocksDbStoreFaultTest, PowerCutLeavesNoHoleInWhatNobodySynced) {
  constexpr uint64_t kAsyncCommits = 1'500;
  const std::string path = dir_.path() + "/data";
  uint64_t found = 0;
  for (uint64_t operation = 400; operation < 1'500 && !HasFatalFailure(); operation += 60) {
    const uint64_t before = WriteFirst(path);
    ChildProcess second({TESSERA_STORE_FAULTS, path, "power-part", std::to_string(operation),
                         std::to_string(kAsyncCommits), "async"});
    const int state = second.Wait();
    CheckEnd(state, "power-part", operation);
    EXPECT_NE(state, 0) << "operation " << operation << " was not reached";
    CheckStore(path, before, before + kAsyncCommits, operation, &found);
  }
  EXPECT_GE(found, 2'000u) << "too few commits to mean anything";
}

}  // namespace
}  // namespace tessera
