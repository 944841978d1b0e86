#ifndef TESSERA_SERVER_STORAGE_CACHED_READER_H_
#define TESSERA_SERVER_STORAGE_CACHED_READER_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tessera {

// A read of a file from `offset` on into `parts`, one after the other.
struct CachedRead {
  off_t offset = 0;
  std::array<iovec, 2> parts = {};
  // Bytes that were there, from the first on; below 0 if there is nothing to be had without
  // waiting.
  ssize_t result = 0;
};

// Reads of what is in the page cache, many by one system call: a call takes longer than copying a
// vector. By Linux AIO and its libaio: container runtimes forbid io_uring, and where a disk fails,
// a mapping of the file would end the process.
//
// Thread-safe. Where the kernel has no queue to give (fs.aio-max-nr), each read is a call.
class CachedReader {
 public:
  // As many threads can read at once by one call for many.
  explicit CachedReader(size_t queues = 64);
  ~CachedReader();
  CachedReader(const CachedReader&) = delete;
  CachedReader& operator=(const CachedReader&) = delete;

  // Gives each read its result. None waits for the disk.
  void Read(int fd, std::span<CachedRead> reads) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Queue;
  // Null if there is none.
  std::unique_ptr<Queue> TakeQueue() ABSL_LOCKS_EXCLUDED(mutex_);
  void PutBack(std::unique_ptr<Queue> queue) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  size_t queues_to_make_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Queue>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_CACHED_READER_H_
