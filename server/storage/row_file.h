#ifndef TESSERA_SERVER_STORAGE_ROW_FILE_H_
#define TESSERA_SERVER_STORAGE_ROW_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "index/base/types.h"
#include "server/storage/cached_reader.h"

namespace tessera {

struct RowFileOptions {
  std::string path;
  // Whose points: ids of collections are given once, but a data directory may be made anew.
  uint32_t collection = 0;
  int64_t create_time_ms = 0;
  size_t row_bytes = 0;  // of one point
  // The file does without more room where less than twice that would be left on the disk.
  uint64_t free_disk_bytes_min = 0;
  std::string boot_id;                                // empty: the system's
  std::shared_ptr<CachedReader> reader;               // null: one of its own
  std::function<void(std::string_view message)> log;  // may be empty
};

// A copy of something that a collection has of each point, its vector or its payload, row by row at
// a place that the slot gives: the store needs some microseconds to find one of many records, a
// read of this file one. README.md has the format.
//
// It is only a copy. Each row has a checksum, the head says for which state of the store the rows
// are, and what is not there or not whole is the store's to answer. A file that fails (a full disk)
// is given up and its room given back; whoever writes to it need not know.
//
// Thread-safe. A row that is being written may be read as not found.
class RowFile {
 public:
  // Opens or makes the file of a collection whose commits have come to `sequence`. Rows that may
  // not be those of the store are thrown away: then, and in a new file, is_complete() is false.
  // UNAVAILABLE or RESOURCE_EXHAUSTED if the file cannot be opened or made.
  static absl::StatusOr<std::unique_ptr<RowFile>> Open(const RowFileOptions& options,
                                                       uint64_t sequence);
  ~RowFile();
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;

  // What the head of a file says of its rows; none if there is no file, or no whole head.
  static std::optional<size_t> RowBytesOf(const std::string& path);

  // The kernel's name for the time since it was started; "" if it has none.
  static std::string SystemBootId();

  // Copies the rows of `slots` into row_bytes each. Where the file does not have one, found[i] is
  // false. What is not in the page cache is asked for at once and then waited for.
  void Read(std::span<const Slot> slots, std::byte* out, bool* found) const;
  // The same without waiting: false if not all of them are found in the page cache.
  bool ReadCached(std::span<const Slot> slots, std::byte* out, bool* found) const;

  // To be called before each commit of the collection, and before the rows of its new slots are
  // written: it goes from `before` to `after`.
  void BeginCommit(uint64_t before, uint64_t after) ABSL_LOCKS_EXCLUDED(mutex_);
  // Rows of slots that no reader has, row_bytes each.
  void Write(std::span<const Slot> slots, const std::byte* rows) ABSL_LOCKS_EXCLUDED(mutex_);

  // Gives the room of the slots from `end` on back, which nobody has; they may be written again.
  void Shrink(uint64_t end) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether there is a row of every point.
  bool is_complete() const { return complete_.load(std::memory_order_acquire); }
  // Rows as the store has had them at some time since Open; slots written meanwhile stay.
  void Fill(std::span<const Slot> slots, const std::byte* rows) ABSL_LOCKS_EXCLUDED(mutex_);
  // Says that the rows of all points have been filled in.
  void SetComplete() ABSL_LOCKS_EXCLUDED(mutex_);

  // False once the file has been given up.
  bool is_usable() const { return usable_.load(std::memory_order_relaxed); }
  // Gives the file up until the next start.
  void GiveUp(std::string_view reason) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, without a word: the collection is gone.
  void Remove() ABSL_LOCKS_EXCLUDED(mutex_);
  // Puts all on disk and notes that it is: only then are the rows good after a power cut.
  void Close(uint64_t sequence) ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t disk_bytes() const;

 private:
  struct Head {
    uint32_t collection = 0;
    int64_t create_time_ms = 0;
    uint32_t row_bytes = 0;
    bool complete = false;
    bool clean = false;  // all of it is on disk
    std::string boot_id;
    uint64_t before = 0;  // the commits that the rows are good for: from here
    uint64_t after = 0;   // to here
  };

  RowFile(const RowFileOptions& options, int fd) : options_(options), fd_(fd) {}
  size_t row_distance() const { return options_.row_bytes + sizeof(uint32_t); }
  off_t RowOffset(Slot slot) const;
  uint32_t Checksum(Slot slot, const std::byte* row) const;
  // Which of `slots` are not in the page cache, by their place among them; the others as Read.
  std::vector<size_t> ReadWhatIsCached(std::span<const Slot> slots, std::byte* out,
                                       bool* found) const;
  // Whether the row comes whole from the file, into `out`.
  bool ReadRow(Slot slot, std::byte* out) const;

  static std::optional<Head> ReadHead(int fd);
  bool WriteHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StartAnew(uint64_t sequence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteRows(std::span<const Slot> slots, const std::byte* rows)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MakeRoom(uint64_t end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveUpLocked(std::string_view reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Log(std::string_view message) const {
    if (options_.log) options_.log(message);
  }

  const RowFileOptions options_;
  const int fd_;
  std::atomic<bool> complete_{false};
  std::atomic<bool> usable_{true};
  absl::Mutex mutex_;
  Head head_ ABSL_GUARDED_BY(mutex_);
  uint64_t room_end_ ABSL_GUARDED_BY(mutex_) = 0;      // up to here there is room on the disk
  std::vector<bool> written_ ABSL_GUARDED_BY(mutex_);  // slots, while the file is not complete
  std::string buffer_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROW_FILE_H_
