#ifndef TESSERA_SERVER_STORAGE_HIGH_WATER_H_
#define TESSERA_SERVER_STORAGE_HIGH_WATER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace tessera {

// A file that remembers how much of the log has been acknowledged, so that a log which lost its
// end is told from one that never was longer. README.md has the format.
//
// The number is written after the log was synced and is not synced itself: after a crash of the
// process it is there, after a power cut it may be older, but it never promises more than the log
// held. Thread-safe.
class HighWater {
 public:
  // Opens or creates the file. A missing file is a mark of 0; DATA_LOSS if neither copy of the
  // mark is whole.
  static absl::StatusOr<std::unique_ptr<HighWater>> Open(const std::string& path);
  // The mark of a file that another process may have open; nothing is created or changed.
  static absl::StatusOr<uint64_t> Read(const std::string& path);
  ~HighWater();
  HighWater(const HighWater&) = delete;
  HighWater& operator=(const HighWater&) = delete;

  uint64_t mark() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Raises the mark; a lower one changes nothing.
  absl::Status Raise(uint64_t mark) ABSL_LOCKS_EXCLUDED(mutex_);
  // Puts the mark on disk.
  absl::Status Sync() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  HighWater(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteCopy(uint64_t mark) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const int fd_;
  mutable absl::Mutex mutex_;
  uint64_t mark_ ABSL_GUARDED_BY(mutex_) = 0;
  int next_copy_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_HIGH_WATER_H_
