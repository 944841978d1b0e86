#ifndef TESSERA_SERVER_SNAPSHOT_SNAPSHOT_MANIFEST_H_
#define TESSERA_SERVER_SNAPSHOT_SNAPSHOT_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// One file of a snapshot.
struct SnapshotFile {
  std::string name;  // IsSnapshotFileName
  uint64_t bytes = 0;
  uint32_t crc = 0;  // CRC-32C of its bytes

  bool operator==(const SnapshotFile&) const = default;
};

// What MANIFEST says of a snapshot; README.md has the grammar.
struct SnapshotManifest {
  std::string creator_version;  // of the server that made it
  int64_t create_time_ms = 0;   // since the epoch
  uint32_t collection_id = 0;   // in the files
  uint64_t sequence = 0;        // of the collection: mutations up to it are in the snapshot
  uint64_t points = 0;
  std::string catalog;              // the collection's catalog record, as the files hold it
  std::vector<SnapshotFile> files;  // by name

  uint64_t TotalBytes() const;
  bool operator==(const SnapshotManifest&) const = default;
};

inline constexpr uint32_t kSnapshotFormat = 1;

// Letters, digits, '.', '_' and '-', beginning with a letter or a digit, and at most
// limits::kSnapshotFileNameBytesMax of them: no such name leads out of its folder.
bool IsSnapshotFileName(std::string_view name);

// Pure functions. Decode returns DATA_LOSS, reason SNAPSHOT_DAMAGED, for bytes that were not
// written so, and FAILED_PRECONDITION, reason SNAPSHOT_FORMAT_TOO_NEW, for a later version.
std::string EncodeSnapshotManifest(const SnapshotManifest& manifest);
absl::StatusOr<SnapshotManifest> DecodeSnapshotManifest(std::string_view bytes);

}  // namespace tessera

#endif  // TESSERA_SERVER_SNAPSHOT_SNAPSHOT_MANIFEST_H_
