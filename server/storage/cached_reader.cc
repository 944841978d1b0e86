#include "server/storage/cached_reader.h"

#include <libaio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace tessera {
namespace {

constexpr size_t kQueueReads = 128;
// As many calls take as long as those of a queue.
constexpr size_t kSingleReads = 3;

void ReadByCall(int fd, CachedRead& read) {
  do {
    read.result = preadv2(fd, read.parts.data(), static_cast<int>(read.parts.size()), read.offset,
                          RWF_NOWAIT);
  } while (read.result < 0 && errno == EINTR);
}

}  // namespace

// One of the kernel's queues, for one thread at a time. Between calls nothing is in it.
class CachedReader::Queue {
 public:
  // Null if the kernel has none.
  static std::unique_ptr<Queue> Make() {
    auto queue = std::unique_ptr<Queue>(new Queue);
    if (io_setup(static_cast<int>(kQueueReads), &queue->context_) != 0) queue = nullptr;
    return queue;
  }
  ~Queue() {
    if (context_ != nullptr) io_destroy(context_);
  }

  bool is_usable() const { return context_ != nullptr; }

  // At most kQueueReads. Returns how many, from the first on, have their results.
  size_t Read(int fd, std::span<CachedRead> reads) {
    for (size_t i = 0; i < reads.size(); ++i) {
      CachedRead& read = reads[i];
      io_prep_preadv2(&requests_[i], fd, read.parts.data(), static_cast<int>(read.parts.size()),
                      read.offset, RWF_NOWAIT);
      requests_[i].data = &read;
      pointers_[i] = &requests_[i];
    }
    const int submitted = io_submit(context_, static_cast<long>(reads.size()), pointers_.data());
    return submitted > 0 && Await(static_cast<size_t>(submitted)) ? static_cast<size_t>(submitted)
                                                                  : 0;
  }

 private:
  Queue() = default;

  bool Await(size_t count) {
    for (size_t done = 0; done < count;) {
      const auto left = static_cast<long>(count - done);
      const int n = io_getevents(context_, left, left, events_.data(), nullptr);
      if (n == -EINTR) continue;
      if (n <= 0) {
        // Only for a queue that is broken. Its end waits for what may still be written to.
        io_destroy(std::exchange(context_, nullptr));
        return false;
      }
      for (int i = 0; i < n; ++i) {
        static_cast<CachedRead*>(events_[i].data)->result = static_cast<ssize_t>(events_[i].res);
      }
      done += static_cast<size_t>(n);
    }
    return true;
  }

  io_context_t context_ = nullptr;
  std::array<iocb, kQueueReads> requests_;
  std::array<iocb*, kQueueReads> pointers_;
  std::array<io_event, kQueueReads> events_;
};

CachedReader::CachedReader(size_t queues) : queues_to_make_(queues) {}

CachedReader::~CachedReader() = default;

std::unique_ptr<CachedReader::Queue> CachedReader::TakeQueue() {
  {
    absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Queue> queue = std::move(idle_.back());
      idle_.pop_back();
      return queue;
    }
    if (queues_to_make_ == 0) return nullptr;
    --queues_to_make_;
  }
  auto queue = Queue::Make();
  if (queue == nullptr) PutBack(nullptr);
  return queue;
}

void CachedReader::PutBack(std::unique_ptr<Queue> queue) {
  absl::MutexLock lock(&mutex_);
  if (queue != nullptr && queue->is_usable()) {
    idle_.push_back(std::move(queue));
  } else {
    ++queues_to_make_;
  }
}

void CachedReader::Read(int fd, std::span<CachedRead> reads) {
  if (reads.size() > kSingleReads) {
    std::unique_ptr<Queue> queue = TakeQueue();
    while (queue != nullptr && !reads.empty()) {
      const size_t done = queue->Read(fd, reads.first(std::min(reads.size(), kQueueReads)));
      reads = reads.subspan(done);
      if (done == 0) break;
    }
    if (queue != nullptr) PutBack(std::move(queue));
  }
  for (CachedRead& read : reads) ReadByCall(fd, read);
}

}  // namespace tessera
