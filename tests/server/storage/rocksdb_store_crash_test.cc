#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <random>
#include <string>

#include "server/storage/rocksdb_store.h"
#include "tests/server/storage/store_writer.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr int kCycles = 25;

// A writer process and the pipe on which it acknowledges.
struct Writer {
  pid_t pid = -1;
  int acknowledgements = -1;
};

Writer StartWriter(const std::string& path, uint64_t from) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string program = TESSERA_STORE_WRITER;
  std::string directory = path;
  std::string number = std::to_string(from);
  char* argv[] = {program.data(), directory.data(), number.data(), nullptr};
  Writer writer{.acknowledgements = ends[0]};
  EXPECT_EQ(posix_spawn(&writer.pid, program.c_str(), &actions, nullptr, argv, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  return writer;
}

// Kills the writer after `milliseconds` and returns the last number that it acknowledged, or
// `before` if it came to none.
uint64_t KillAfter(const Writer& writer, int milliseconds, uint64_t before) {
  const timespec wait{milliseconds / 1'000, (milliseconds % 1'000) * 1'000'000L};
  nanosleep(&wait, nullptr);
  kill(writer.pid, SIGKILL);
  int state = 0;
  EXPECT_EQ(waitpid(writer.pid, &state, 0), writer.pid);
  EXPECT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL) << "the writer ended by itself";
  uint64_t last = before;
  uint64_t number = 0;
  while (read(writer.acknowledgements, &number, sizeof(number)) == sizeof(number)) last = number;
  close(writer.acknowledgements);
  return last;
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
    const uint64_t acknowledged = KillAfter(StartWriter(path, present), milliseconds, present);
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
