#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdint>
#include <ctime>
#include <random>
#include <string>

#include "server/storage/rocksdb_store.h"
#include "tests/server/storage/child_process.h"
#include "tests/server/storage/store_writer.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr int kCycles = 25;

// Lets a writer run for some time, kills it, and returns the last number that it acknowledged, or
// `from` if it came to none.
uint64_t WriteAndKill(const std::string& path, uint64_t from, int milliseconds) {
  ChildProcess writer({TESSERA_STORE_WRITER, path, std::to_string(from)});
  const timespec wait{milliseconds / 1'000, (milliseconds % 1'000) * 1'000'000L};
  nanosleep(&wait, nullptr);
  writer.Kill();
  const int state = writer.Wait();
  EXPECT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL) << "the writer ended by itself";
  return writer.LastNumber(from);
}

TEST(RocksDbStoreCrashTest, KilledWriterLosesNoAcknowledgedCommit) {
  const TempDir dir;
  const std::string path = dir.path() + "/data";
  const auto seed = static_cast<uint32_t>(std::random_device()());
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  uint64_t present = 0;
  int cycles_with_commits = 0;
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    // Short runs end while the store is being opened or recovered.
    const int milliseconds = static_cast<int>(20 + random() % 400);
    const uint64_t acknowledged = WriteAndKill(path, present, milliseconds);
    cycles_with_commits += acknowledged > present;
    auto store = OpenRocksDbStore({.path = path});
    ASSERT_TRUE(store.ok()) << store.status() << " in cycle " << cycle;
    const auto count = CountWritten(**store);
    ASSERT_TRUE(count.ok()) << count.status() << " in cycle " << cycle;
    // The last commit may be on disk without its acknowledgement having come out.
    ASSERT_GE(*count, acknowledged) << "in cycle " << cycle;
    ASSERT_LE(*count, acknowledged + 1) << "in cycle " << cycle;
    present = *count;
  }
  EXPECT_GE(cycles_with_commits, kCycles / 4) << "the kills came too early to test anything";
  EXPECT_GE(present, 100u);
  RecordProperty("commits", static_cast<int>(present));
}

}  // namespace
}  // namespace tessera
