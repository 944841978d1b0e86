#ifndef TESSERA_SERVER_SNAPSHOT_FOLDER_H_
#define TESSERA_SERVER_SNAPSHOT_FOLDER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tessera {

// An open folder whose entries are reached by their names alone, relative to it: no link is
// followed, and nothing but plain files and folders is opened. Movable. Thread-compatible.
//
// Errors: DATA_LOSS, reason SNAPSHOT_DAMAGED, if an entry is missing or is no plain file or folder;
// RESOURCE_EXHAUSTED, reason DISK_FULL; UNAVAILABLE for any other error of the system.
class Folder {
 public:
  // Told how many bytes were read; false ends the reading with CANCELLED.
  using BytesRead = std::function<bool(uint64_t bytes)>;
  struct Checksum {
    uint64_t bytes = 0;
    uint32_t crc = 0;  // CRC-32C
  };

  // A path that the operator chose, not a client. Its last part may not be a link.
  static absl::StatusOr<Folder> Open(const std::string& path);
  ~Folder();
  Folder(Folder&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Folder& operator=(Folder&&) = delete;

  absl::StatusOr<Folder> OpenFolder(const std::string& name) const;
  absl::StatusOr<std::vector<std::string>> Names() const;  // sorted
  bool Has(const std::string& name) const;

  // ALREADY_EXISTS if there is an entry of that name.
  absl::Status MakeFolder(const std::string& name) const;
  absl::Status Rename(const std::string& from, const std::string& to) const;
  // Writes a new file and syncs it.
  absl::Status WriteFile(const std::string& name, std::string_view bytes) const;
  // A file of at most `bytes_max` bytes.
  absl::StatusOr<std::string> ReadFile(const std::string& name, uint64_t bytes_max) const;
  absl::StatusOr<Checksum> ChecksumFile(const std::string& name, const BytesRead& bytes_read) const;
  absl::Status SyncFile(const std::string& name) const;
  // Syncs the folder itself: its names.
  absl::Status Sync() const;
  // The entry with all below it. OK if there is none.
  absl::Status Remove(const std::string& name) const;

 private:
  explicit Folder(int fd) : fd_(fd) {}

  absl::StatusOr<int> OpenFile(const std::string& name) const;

  int fd_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_SNAPSHOT_FOLDER_H_
