#ifndef TESSERA_SERVER_ENGINE_FILTER_CACHE_H_
#define TESSERA_SERVER_ENGINE_FILTER_CACHE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/filter_matches.h"
#include "server/filter/filter.h"
#include "server/filter/filter_bytes.h"

namespace tessera {

// What the last filters of a collection matched in its newest view: searches often ask again, and
// an answer may have cost a walk over all payloads. Thread-safe; no writer takes its lock.
class FilterCache {
  struct Entry {
    Filter filter;
    std::shared_ptr<const FilterMatches> matches;
    size_t bytes = 0;  // of the filter
  };

 public:
  // Null if it is not known.
  std::shared_ptr<const FilterMatches> Find(uint64_t view_version, const Filter& filter)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (view_version != version_) return nullptr;
    for (const Entry& entry : entries_) {
      if (entry.filter == filter) return entry.matches;
    }
    return nullptr;
  }

  void Put(uint64_t view_version, const Filter& filter,
           std::shared_ptr<const FilterMatches> matches) ABSL_LOCKS_EXCLUDED(mutex_) {
    const size_t bytes = FilterBytes(filter);
    absl::MutexLock lock(&mutex_);
    if (view_version < version_) return;
    if (view_version > version_) Clear();
    version_ = view_version;
    for (Entry& entry : entries_) {
      if (!(entry.filter == filter)) continue;
      entry.matches = std::move(matches);
      return;
    }
    if (bytes > kFilterBytes) return;
    while (entries_.size() == kEntries || bytes_ + bytes > kFilterBytes) {
      bytes_ -= entries_.back().bytes;
      entries_.pop_back();
    }
    entries_.push_front({filter, std::move(matches), bytes});
    bytes_ += bytes;
  }

  // Forgets what is of views before this one: it may hold on to indexes that have changed since.
  void ForgetBefore(uint64_t view_version) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::deque<Entry> forgotten;  // freed without the lock
    absl::MutexLock lock(&mutex_);
    if (version_ >= view_version) return;
    forgotten.swap(entries_);
    bytes_ = 0;
  }

 private:
  static constexpr size_t kEntries = 16;
  // Of the filters themselves: each may be as large as a request.
  static constexpr size_t kFilterBytes = size_t{16} << 20;

  void Clear() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    entries_.clear();
    bytes_ = 0;
  }

  absl::Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // newest first
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;           // of their filters
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_FILTER_CACHE_H_
