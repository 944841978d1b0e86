#include "server/snapshot/snapshot_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "index/base/limits.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

bool Always(uint64_t, uint64_t) { return true; }

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class SnapshotDirectoryTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    auto directory = SnapshotDirectory::Open(root());
    ASSERT_TRUE(directory.ok()) << directory.status();
    directory_ = *std::move(directory);
  }
  std::string root() const { return dir_.path() + "/snapshots"; }

  // A snapshot of two files.
  std::string Make() {
    const auto id = directory_->Begin(1'700'000'000'123);
    EXPECT_TRUE(id.ok()) << id.status();
    fs::create_directory(directory_->PendingStorePath(*id));
    Write(directory_->PendingStorePath(*id) + "/a.sst", std::string(5'000, 'a'));
    Write(directory_->PendingStorePath(*id) + "/CURRENT", "current\n");
    SnapshotManifest manifest;
    manifest.creator_version = "1";
    const absl::Status status = directory_->Publish(*id, manifest, Always);
    EXPECT_TRUE(status.ok()) << status;
    return *id;
  }

  absl::Status Verify(const std::string& id) {
    const auto manifest = directory_->ReadManifest(id);
    if (!manifest.ok()) return manifest.status();
    return directory_->Verify(id, *manifest, Always);
  }

  void ExpectDamaged(const std::string& id, const std::string& what) {
    const absl::Status status = Verify(id);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), what)) << status;
    EXPECT_FALSE(absl::StrContains(status.message(), dir_.path())) << status;
  }

  TempDir dir_;
  std::unique_ptr<SnapshotDirectory> directory_;
};

TEST_F(SnapshotDirectoryTest, PublishedSnapshotIsListedAndWhole) {
  const std::string id = Make();
  EXPECT_TRUE(SnapshotDirectory::IsId(id)) << id;
  EXPECT_TRUE(absl::StartsWith(id, "20231114-221320-123-")) << id;
  const auto ids = directory_->List();
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, std::vector<std::string>{id});
  const auto manifest = directory_->ReadManifest(id);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ASSERT_EQ(manifest->files.size(), 2u);
  EXPECT_EQ(manifest->files[0].name, "CURRENT");
  EXPECT_EQ(manifest->files[1].bytes, 5'000u);
  EXPECT_EQ(Verify(id), absl::OkStatus());
}

TEST_F(SnapshotDirectoryTest, WhatWasNotPublishedIsSweptAtTheNextOpen) {
  const std::string kept = Make();
  const auto id = directory_->Begin(1);
  ASSERT_TRUE(id.ok());
  fs::create_directory(directory_->PendingStorePath(*id));
  Write(directory_->PendingStorePath(*id) + "/a.sst", "half");
  EXPECT_EQ(directory_->List()->size(), 1u);
  Open();
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(root())) left.insert(entry.path().filename());
  EXPECT_EQ(left, std::set<std::string>{kept});
}

TEST_F(SnapshotDirectoryTest, RemovedSnapshotIsGone) {
  const std::string id = Make();
  ASSERT_EQ(directory_->Remove(id), absl::OkStatus());
  EXPECT_TRUE(fs::is_empty(root()));
  EXPECT_TRUE(absl::IsNotFound(directory_->Remove(id)));
  EXPECT_TRUE(absl::IsNotFound(directory_->ReadManifest(id).status()));
}

TEST_F(SnapshotDirectoryTest, WhatIsBeingRemovedIsGoneAndNotDamaged) {
  constexpr int kSnapshots = 300;
  const std::string manifest = root() + "/" + Make() + "/MANIFEST";
  std::vector<std::string> ids;
  for (int i = 0; i < kSnapshots; ++i) {
    ids.push_back(absl::StrFormat("20231114-221320-124-%04x", i));
    fs::create_directory(root() + "/" + ids.back());
    fs::create_hard_link(manifest, root() + "/" + ids.back() + "/MANIFEST");
  }
  std::atomic<int> read = -1;
  // As Remove does, without its syncs, while it is read.
  std::thread remover([&] {
    for (int i = 0; i < kSnapshots; ++i) {
      while (read < i) std::this_thread::yield();
      const std::string folder = root() + "/" + ids[i];
      fs::rename(folder, folder + ".tmp");
      fs::remove_all(folder + ".tmp");
    }
  });
  for (int i = 0; i < kSnapshots; ++i) {
    absl::Status status;
    while (status.ok()) {
      status = directory_->ReadManifest(ids[i]).status();
      read = i;
    }
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
  }
  remover.join();
}

TEST_F(SnapshotDirectoryTest, NothingButAnIdIsMadeIntoAName) {
  Write(dir_.path() + "/MANIFEST", "outside");
  for (const std::string id :
       {"", ".", "..", "../snapshots", "/etc", "20231114-221320-123-12g4",
        "20231114-221320-123-123", "20231114-221320-123-1234/..", "20231114-221320-123-1234.tmp"}) {
    EXPECT_FALSE(SnapshotDirectory::IsId(id)) << id;
    EXPECT_TRUE(absl::IsNotFound(directory_->ReadManifest(id).status())) << id;
    EXPECT_TRUE(absl::IsNotFound(directory_->Remove(id))) << id;
  }
  EXPECT_TRUE(fs::exists(dir_.path() + "/MANIFEST"));
}

TEST_F(SnapshotDirectoryTest, ChangedMissingAndExtraFilesAreNamed) {
  const std::string id = Make();
  const std::string file = directory_->StorePath(id) + "/a.sst";
  std::string bytes(5'000, 'a');
  bytes[4'999] = 'b';
  Write(file, bytes);
  ExpectDamaged(id, "a.sst does not have the checksum");
  Write(file, std::string(4'999, 'a'));
  ExpectDamaged(id, "a.sst has 4999 bytes instead of 5000");
  fs::remove(file);
  ExpectDamaged(id, "a.sst is missing");
  Write(file, std::string(5'000, 'a'));
  EXPECT_EQ(Verify(id), absl::OkStatus());
  Write(directory_->StorePath(id) + "/b.sst", "more");
  ExpectDamaged(id, "b.sst is there and not listed");
  fs::remove(directory_->StorePath(id) + "/b.sst");
  Write(root() + "/" + id + "/notes", "more");
  ExpectDamaged(id, "an unknown entry");
}

// A link in the place of a file, of the folder of files, or of the snapshot leads nowhere, even if
// it leads to the very same bytes.
TEST_F(SnapshotDirectoryTest, LinksAndPipesAreRefused) {
  const std::string id = Make();
  const std::string file = directory_->StorePath(id) + "/a.sst";
  fs::rename(file, dir_.path() + "/a.sst");
  fs::create_symlink(dir_.path() + "/a.sst", file);
  ExpectDamaged(id, "a.sst is a link");
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  ExpectDamaged(id, "a.sst is no plain file");
  fs::remove(file);
  fs::create_directory(file);
  ExpectDamaged(id, "a.sst is no plain file");
  fs::remove(file);
  fs::rename(dir_.path() + "/a.sst", file);
  ASSERT_EQ(Verify(id), absl::OkStatus());

  const std::string store = directory_->StorePath(id);
  fs::rename(store, dir_.path() + "/store");
  fs::create_symlink(dir_.path() + "/store", store);
  ExpectDamaged(id, "store is a link");
  fs::remove(store);
  fs::rename(dir_.path() + "/store", store);

  const std::string snapshot = root() + "/" + id;
  fs::rename(snapshot, dir_.path() + "/moved");
  fs::create_symlink(dir_.path() + "/moved", snapshot);
  ExpectDamaged(id, "is a link");
  // Removing it takes the link and leaves what it points at.
  EXPECT_EQ(directory_->Remove(id), absl::OkStatus());
  EXPECT_TRUE(fs::exists(dir_.path() + "/moved/MANIFEST"));
}

TEST_F(SnapshotDirectoryTest, SweepingDoesNotFollowLinks) {
  fs::create_directory(dir_.path() + "/elsewhere");
  Write(dir_.path() + "/elsewhere/kept", "kept");
  fs::create_directory(root() + "/x.tmp");
  fs::create_symlink(dir_.path() + "/elsewhere", root() + "/x.tmp/link");
  fs::create_symlink(dir_.path() + "/elsewhere", root() + "/y.tmp");
  Open();
  EXPECT_TRUE(fs::is_empty(root()));
  EXPECT_TRUE(fs::exists(dir_.path() + "/elsewhere/kept"));
}

TEST_F(SnapshotDirectoryTest, FolderThatIsALinkIsRefused) {
  fs::rename(root(), dir_.path() + "/moved");
  fs::create_symlink(dir_.path() + "/moved", root());
  EXPECT_EQ(SnapshotDirectory::Open(root()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SnapshotDirectoryTest, CancelledCreationLeavesNothingAfterAbandon) {
  const auto id = directory_->Begin(1);
  ASSERT_TRUE(id.ok());
  fs::create_directory(directory_->PendingStorePath(*id));
  Write(directory_->PendingStorePath(*id) + "/a.sst", "bytes");
  const auto never = [](uint64_t, uint64_t) { return false; };
  EXPECT_EQ(directory_->Publish(*id, {}, never).code(), absl::StatusCode::kCancelled);
  directory_->Abandon(*id);
  EXPECT_TRUE(fs::is_empty(root()));
}

TEST_F(SnapshotDirectoryTest, NumberOfSnapshotsIsBounded) {
  for (size_t i = 0; i < limits::kSnapshotsMax; ++i) {
    char id[32];
    std::snprintf(id, sizeof(id), "20231114-221320-123-%04x", static_cast<unsigned>(i));
    fs::create_directory(root() + "/" + id);
  }
  EXPECT_EQ(directory_->Begin(1).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tessera
