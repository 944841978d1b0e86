#ifndef TESSERA_SERVER_SNAPSHOT_SNAPSHOT_DIRECTORY_H_
#define TESSERA_SERVER_SNAPSHOT_SNAPSHOT_DIRECTORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/snapshot/folder.h"
#include "server/snapshot/snapshot_manifest.h"

namespace tessera {

// Told how far the reading of files has come, in bytes; false ends it with CANCELLED.
using SnapshotProgress = std::function<bool(uint64_t done, uint64_t total)>;

// The folder of the snapshots: which there are, and whether their files are what they were. What
// is in the files is the engine's matter. README.md has the layout.
//
// A snapshot comes into being, and goes, by a rename: it is there whole or not at all. Thread-safe;
// that nobody removes a snapshot whose files another thread reads is the caller's part.
//
// Errors are those of Folder, and NOT_FOUND for an id that is well-formed and unknown.
class SnapshotDirectory {
 public:
  // Opens or makes the folder, and removes what interrupted creations and removals have left.
  static absl::StatusOr<std::unique_ptr<SnapshotDirectory>> Open(const std::string& path);

  // Whether the bytes have the form of an id. Ids come from clients: nothing else is ever made
  // into a name.
  static bool IsId(std::string_view id);

  // A creation: Begin, then a store put at PendingStorePath, then Publish; or Abandon.
  // RESOURCE_EXHAUSTED if there are too many snapshots.
  absl::StatusOr<std::string> Begin(int64_t create_time_ms) const;
  std::string PendingStorePath(const std::string& id) const;
  // Syncs and lists the files into `manifest`, writes MANIFEST, and gives the snapshot its name.
  absl::Status Publish(const std::string& id, SnapshotManifest manifest,
                       const SnapshotProgress& progress) const;
  void Abandon(const std::string& id) const;

  // The ids, in the order in which they were made.
  absl::StatusOr<std::vector<std::string>> List() const;
  absl::StatusOr<SnapshotManifest> ReadManifest(const std::string& id) const;
  // Compares the files with the manifest: DATA_LOSS that names the one that is missing, changed,
  // too many, or no plain file.
  absl::Status Verify(const std::string& id, const SnapshotManifest& manifest,
                      const SnapshotProgress& progress) const;
  std::string StorePath(const std::string& id) const;
  absl::Status Remove(const std::string& id) const;

 private:
  SnapshotDirectory(std::string path, Folder root)
      : path_(std::move(path)), root_(std::move(root)) {}

  absl::Status Sweep() const;
  bool Has(const std::string& id) const { return IsId(id) && root_.Has(id); }
  absl::Status UnlessGone(const std::string& id, const absl::Status& error) const;
  absl::StatusOr<Folder> OpenSnapshot(const std::string& id) const;

  const std::string path_;
  const Folder root_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_SNAPSHOT_SNAPSHOT_DIRECTORY_H_
