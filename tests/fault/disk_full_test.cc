// The disk runs full under a serving server: writes are refused and change nothing, searches go on,
// and writes are taken again within five seconds of space coming back.
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/error_details.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr char kWords[] = "words";
constexpr uint64_t kMiB = uint64_t{1} << 20;
// Between what is free and what the server wants to keep free; other tests use the same disk.
constexpr uint64_t kSlackMiB = 256;
constexpr size_t kRows = 1'000;

uint64_t FreeMiB(const std::string& path) {
  struct statvfs disk;
  return statvfs(path.c_str(), &disk) == 0 ? uint64_t{disk.f_bavail} * disk.f_frsize / kMiB : 0;
}

void WriteFiller(const std::string& path, uint64_t mib) {
  std::ofstream file(path, std::ios::binary);
  const std::string zeros(kMiB, '\0');
  for (uint64_t i = 0; i < mib; ++i) file << zeros;
  ASSERT_TRUE(file.flush().good());
}

TEST(DiskFullTest, WritesAreRefusedSearchesGoOnAndItHeals) {
  TempDir dir(TempDir::Place::kMemory);
  const uint64_t free_mib = FreeMiB(dir.path());
  if (free_mib < 4 * kSlackMiB) {
    GTEST_SKIP() << "only " << free_mib << " MiB are free in memory's own file system";
  }
  const std::string data_dir = dir.path() + "/data";
  ASSERT_OK_AND_ASSIGN(
      const auto server,
      ServerProcess::Start({.data_dir = data_dir,
                            .flags = {absl::StrCat("--free_disk_mb_min=", free_mib - kSlackMiB)}}));
  Client& client = server->client();
  ASSERT_OK(CreateWordNet(client, kWords));
  ASSERT_OK(LoadWordNet(client, kWords, 0, kRows));
  ASSERT_OK(TrainAndWait(client, kWords).status());
  const v1::SearchRequest search =
      MakeSearch(kWords, std::span(GetWordNet().queries).first(10 * 128), 10);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse before, client.Search(search));
  v1::PointId id;
  id.set_num(1'000'000);
  const v1::UpsertRequest write = MakeUpsert(kWords, id, GetWordNet().Floats(1));

  const std::string filler = dir.path() + "/filler";
  ASSERT_NO_FATAL_FAILURE(WriteFiller(filler, 2 * kSlackMiB));
  for (int i = 0; i < 50; ++i) {
    const absl::Status refused = client.Upsert(write).status();
    ASSERT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
    EXPECT_EQ(GetErrorDetails(refused).reason, "DISK_FULL");
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client.Search(search));
    EXPECT_EQ(HitIds(response), HitIds(before));
  }
  EXPECT_EQ(client.CountPoints(kWords).value_or(0), kRows);

  std::filesystem::remove(filler);
  const absl::Time freed = absl::Now();
  absl::Status status = client.Upsert(write).status();
  while (!status.ok() && absl::Now() - freed < absl::Seconds(5)) {
    absl::SleepFor(absl::Milliseconds(20));
    status = client.Upsert(write).status();
  }
  EXPECT_OK(status);
  EXPECT_EQ(client.CountPoints(kWords).value_or(0), kRows + 1);
  ASSERT_OK_AND_ASSIGN(const int exit_code, server->Terminate());
  EXPECT_EQ(exit_code, 0);
}

}  // namespace
}  // namespace tessera
