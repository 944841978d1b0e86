// Snapshots through the real server and the CLI: what is restored is what was there, kills in the
// middle leave all or nothing, and damage is refused.
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr char kWords[] = "words";
constexpr size_t kRows = 6'000;
constexpr int kKills = 6;  // spread over the time that the operation takes

class SnapshotsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_OK(CreateWordNet(client(), kWords));
    ASSERT_OK(LoadWordNet(client(), kWords, 0, kRows));
    ASSERT_OK(TrainAndWait(client(), kWords).status());
  }

  void Start() {
    ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = folder_.path()}));
  }
  Client& client() { return server_->client(); }
  std::string SnapshotsFolder() const { return folder_.File("snapshots"); }

  // Runs the CLI; its one JSON document.
  Json Run(std::vector<std::string> arguments, int expected_exit_code = 0) {
    arguments.insert(arguments.begin(),
                     {CliBinary(), "--output", "json", "--server", server_->address()});
    const auto result = RunCommand(arguments);
    EXPECT_OK(result.status());
    if (!result.ok()) return Json();
    EXPECT_EQ(result->exit_code, expected_exit_code) << result->out << result->err;
    return Json::parse(result->out, nullptr, /*allow_exceptions=*/false);
  }

  std::string MakeSnapshot() {
    const Json operation = Run({"snapshot", "create", kWords, "--wait"});
    EXPECT_EQ(operation.value("state", ""), "SUCCEEDED") << operation;
    return operation.value("snapshot_id", "");
  }

  // How long an operation has taken, by the server's own clock.
  absl::Duration TimeOf(const v1::Operation& operation) {
    const auto ended = client().WaitOperation(operation.operation_id(), nullptr);
    EXPECT_OK(ended.status());
    if (!ended.ok()) return absl::ZeroDuration();
    const auto at = [](const google::protobuf::Timestamp& time) {
      return absl::Seconds(time.seconds()) + absl::Nanoseconds(time.nanos());
    };
    return at(ended->end_time()) - at(ended->start_time());
  }

  std::string Answers(const std::string& collection) {
    v1::SearchRequest request =
        MakeSearch(collection, std::span(GetWordNet().queries).first(50 * 128), 10);
    request.mutable_with_payload()->set_enable(true);
    const auto response = client().Search(request);
    EXPECT_OK(response.status());
    return response.ok() ? response->SerializeAsString() : "";
  }

  std::map<std::string, std::string> All(const std::string& collection) {
    const auto points = ScrollAll(client(), collection, 1'000, true);
    EXPECT_OK(points.status());
    std::map<std::string, std::string> bytes;
    if (!points.ok()) return bytes;
    for (const auto& [id, point] : *points) bytes[id] = point.SerializeAsString();
    return bytes;
  }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(SnapshotsTest, TheWholeLineThroughTheCli) {
  const auto points = All(kWords);
  const std::string answers = Answers(kWords);
  const std::string id = MakeSnapshot();
  ASSERT_FALSE(id.empty());
  const Json listed = Run({"snapshot", "list"});
  ASSERT_EQ(listed["snapshots"].size(), 1u) << listed;
  EXPECT_EQ(listed["snapshots"][0]["snapshot_id"], id);
  EXPECT_EQ(listed["snapshots"][0]["points"], kRows);
  EXPECT_EQ(Run({"snapshot", "get", id})["collection_name"], kWords);
  EXPECT_EQ(Run({"snapshot", "verify", id, "--wait"})["state"], "SUCCEEDED");
  EXPECT_EQ(Run({"snapshot", "restore", id, "--wait"}, 6)["error"]["reason"], "COLLECTION_EXISTS");
  Run({"snapshot", "restore", id, "--as", "copy", "--wait"});
  EXPECT_EQ(All("copy"), points);
  EXPECT_EQ(Answers("copy"), answers);

  std::vector<uint64_t> first(1'000);
  for (size_t i = 0; i < first.size(); ++i) first[i] = i;
  ASSERT_OK(client().DeletePoints(MakeDelete(kWords, first)).status());
  EXPECT_NE(All(kWords), points);
  Run({"snapshot", "restore", id, "--replace", "--wait"});
  EXPECT_EQ(All(kWords), points);
  EXPECT_EQ(Answers(kWords), answers);
  ASSERT_OK(server_->Terminate().status());
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(All(kWords), points);
  EXPECT_EQ(Answers(kWords), answers);
  EXPECT_EQ(Run({"snapshot", "delete", id})["deleted"], true);
  EXPECT_EQ(Run({"snapshot", "delete", id}, 4)["error"]["reason"], "NOT_FOUND");
  EXPECT_TRUE(fs::is_empty(SnapshotsFolder()));
}

TEST_F(SnapshotsTest, BadRequestsAreRefusedByField) {
  for (const std::string id : {"", "..", "../store", "20231114-221320-123-123Z", "x"}) {
    const auto snapshot = client().GetSnapshot(id);
    EXPECT_TRUE(absl::IsInvalidArgument(snapshot.status())) << id << snapshot.status();
    EXPECT_TRUE(absl::StrContains(snapshot.status().message(), "snapshot_id"));
    EXPECT_TRUE(absl::IsInvalidArgument(client().VerifySnapshot(id).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(client().DeleteSnapshot(id)));
    v1::RestoreSnapshotRequest restore;
    restore.set_snapshot_id(id);
    EXPECT_TRUE(absl::IsInvalidArgument(client().RestoreSnapshot(restore).status()));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(client().CreateSnapshot("").status()));
  EXPECT_TRUE(absl::IsNotFound(client().CreateSnapshot("nobody").status()));
  v1::ListSnapshotsRequest list;
  list.set_page_token("rubbish");
  EXPECT_TRUE(absl::IsInvalidArgument(client().ListSnapshots(list).status()));
  list.clear_page_token();
  list.set_page_size(1'000'000);
  EXPECT_TRUE(absl::IsInvalidArgument(client().ListSnapshots(list).status()));
  const std::string id = MakeSnapshot();
  v1::RestoreSnapshotRequest restore;
  restore.set_snapshot_id(id);
  restore.set_collection_name("a/b");
  EXPECT_TRUE(absl::IsInvalidArgument(client().RestoreSnapshot(restore).status()));
}

// Kills at several moments of a creation: afterwards the snapshot is there, whole, or not at all,
// and nothing unfinished is left in its folder.
TEST_F(SnapshotsTest, KilledCreationLeavesAllOrNothing) {
  ASSERT_OK_AND_ASSIGN(const v1::Operation first, client().CreateSnapshot(kWords));
  const absl::Duration whole_time = TimeOf(first);
  size_t whole = 0;
  size_t kills = 0;
  for (int cycle = 0; cycle < kKills; ++cycle) {
    ASSERT_OK(LoadWordNet(client(), kWords, kRows + 100 * cycle, kRows + 100 * (cycle + 1)));
    ASSERT_OK_AND_ASSIGN(const v1::Operation operation, client().CreateSnapshot(kWords));
    absl::SleepFor(cycle * whole_time / kKills);
    const auto state = client().GetOperation(operation.operation_id());
    kills += state.ok() && state->state() == v1::RUNNING;
    server_->Kill();
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_OK_AND_ASSIGN(const v1::ListSnapshotsResponse list, client().ListSnapshots({}));
    for (const v1::Snapshot& snapshot : list.snapshots()) {
      EXPECT_EQ(snapshot.damage(), "");
      ASSERT_OK_AND_ASSIGN(const v1::Operation verify,
                           client().VerifySnapshot(snapshot.snapshot_id()));
      EXPECT_OK(client().WaitOperation(verify.operation_id(), nullptr).status());
    }
    size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(SnapshotsFolder())) ++entries;
    EXPECT_EQ(entries, static_cast<size_t>(list.snapshots_size()));
    whole = entries;
  }
  EXPECT_GT(kills, 0u) << "no kill met a creation";
  std::cout << kills << " creations killed, " << whole << " snapshots whole" << std::endl;
}

// Kills at several moments of a restore under another name and in the place of the collection.
TEST_F(SnapshotsTest, KilledRestoreLeavesAllOrNothing) {
  const auto before = All(kWords);
  const std::string id = MakeSnapshot();
  ASSERT_OK(LoadWordNet(client(), kWords, kRows, kRows + 500));
  const auto after = All(kWords);
  v1::RestoreSnapshotRequest whole;
  whole.set_snapshot_id(id);
  whole.set_collection_name("first");
  ASSERT_OK_AND_ASSIGN(const v1::Operation first, client().RestoreSnapshot(whole));
  const absl::Duration whole_time = TimeOf(first);
  size_t kills = 0;
  for (int cycle = 0; cycle < kKills; ++cycle) {
    const bool replace = cycle % 2 == 1;
    v1::RestoreSnapshotRequest request;
    request.set_snapshot_id(id);
    request.set_replace(replace);
    if (!replace) request.set_collection_name("copy");
    ASSERT_OK_AND_ASSIGN(const v1::Operation operation, client().RestoreSnapshot(request));
    absl::SleepFor(cycle * whole_time / kKills);
    const auto state = client().GetOperation(operation.operation_id());
    kills += state.ok() && state->state() == v1::RUNNING;
    server_->Kill();
    ASSERT_NO_FATAL_FAILURE(Start());
    const auto now = All(kWords);
    EXPECT_TRUE(now == after || (replace && now == before)) << "cycle " << cycle;
    if (!replace && client().GetCollection("copy").ok()) {
      EXPECT_EQ(All("copy"), before);
      ASSERT_OK(client().DeleteCollection("copy"));
    }
    if (now != after) {
      ASSERT_OK(LoadWordNet(client(), kWords, kRows, kRows + 500));
    }
  }
  EXPECT_GT(kills, 0u) << "no kill met a restore";
}

TEST_F(SnapshotsTest, DamagedSnapshotIsRefusedAndNothingIsLeftOfIt) {
  const std::string id = MakeSnapshot();
  const std::string store = SnapshotsFolder() + "/" + id + "/store";
  std::string table;
  for (const auto& entry : fs::directory_iterator(store)) {
    if (entry.path().extension() == ".sst") table = entry.path();
  }
  // Not in place: the live store has the same file.
  std::string bytes = ReadWholeFile(table);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  fs::remove(table);
  WriteWholeFile(table, bytes);
  const Json failed = Run({"snapshot", "restore", id, "--as", "copy", "--wait"}, 1);
  EXPECT_TRUE(absl::StrContains(failed.dump(), fs::path(table).filename().string())) << failed;
  EXPECT_TRUE(absl::StrContains(failed.dump(), "DATA_LOSS")) << failed;
  EXPECT_TRUE(absl::IsNotFound(client().GetCollection("copy").status()));
  // A link out of the folder is no file, whatever is at its end.
  fs::remove(table);
  fs::create_symlink("/etc/passwd", table);
  EXPECT_EQ(Run({"snapshot", "verify", id, "--wait"}, 1)["error"]["code"], "DATA_LOSS");
  EXPECT_EQ(All(kWords).size(), kRows);
}

// Clients write while snapshots are made: no write fails, and each snapshot restores to as many
// points as its sequence says.
TEST_F(SnapshotsTest, WritesGoOnWhileSnapshotsAreMade) {
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> written = 0;
  absl::Status failed;
  std::thread writer([&] {
    for (uint64_t id = 1'000'000; !stop && failed.ok(); ++id) {
      const auto request = MakeUpsert(
          kWords,
          [&] {
            v1::PointId point;
            point.set_num(id);
            return point;
          }(),
          GetWordNet().Floats(id % 1'000));
      failed = client().Upsert(request).status();
      if (failed.ok()) ++written;
    }
  });
  for (int i = 0; i < 3; ++i) {
    const uint64_t before = written;
    const std::string id = MakeSnapshot();
    const auto snapshot = client().GetSnapshot(id);
    EXPECT_OK(snapshot.status());
    if (!snapshot.ok()) break;
    EXPECT_GE(snapshot->points(), kRows + before);
    EXPECT_LE(snapshot->points(), kRows + written + 1);
    Run({"snapshot", "restore", id, "--as", absl::StrCat("copy", i), "--wait"});
    EXPECT_EQ(client().CountPoints(absl::StrCat("copy", i)).value_or(0), snapshot->points());
  }
  stop = true;
  writer.join();
  EXPECT_OK(failed);
  EXPECT_GT(written, 10u);
}

TEST_F(SnapshotsTest, FsckThroughTheCli) {
  const Json held = Run({"fsck", folder_.path()}, 6);
  EXPECT_TRUE(absl::StrContains(held.dump(), "another server")) << held;
  ASSERT_OK(server_->Terminate().status());
  const Json clean = Run({"fsck", folder_.path()});
  EXPECT_EQ(clean["ok"], true) << clean;
  EXPECT_EQ(clean["points"], kRows);
  EXPECT_EQ(clean["findings"].size(), 0u);
  EXPECT_EQ(Run({"fsck", folder_.File("none")}, 3)["error"]["exit_code"], 3);

  std::string table;
  for (const auto& entry : fs::directory_iterator(folder_.File("store"))) {
    if (entry.path().extension() == ".sst" && entry.file_size() > 100'000) table = entry.path();
  }
  ASSERT_NE(table, "");
  std::string bytes = ReadWholeFile(table);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  WriteWholeFile(table, bytes);
  const Json damaged = Run({"fsck", folder_.path()}, 7);
  EXPECT_EQ(damaged["ok"], false) << damaged;
  EXPECT_TRUE(absl::StrContains(damaged["findings"].dump(), fs::path(table).filename().string()))
      << damaged;
}

}  // namespace
}  // namespace tessera
