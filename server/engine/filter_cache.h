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

namespace tessera {

// What the last filters of a collection matched in its newest view: searches often ask again, and
// an answer may have cost a walk over all payloads. Thread-safe; no writer takes its lock.
class FilterCache {
  using Entry = std::pair<Filter, std::shared_ptr<const FilterMatches>>;

 public:
  // Null if it is not known.
  std::shared_ptr<const FilterMatches> Find(uint64_t view_version, const Filter& filter)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (view_version != version_) return nullptr;
    for (const auto& [key, matches] : entries_) {
      if (key == filter) return matches;
    }
    return nullptr;
  }

  void Put(uint64_t view_version, const Filter& filter,
           std::shared_ptr<const FilterMatches> matches) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (view_version < version_) return;
    if (view_version > version_) entries_.clear();
    version_ = view_version;
    for (auto& [key, known] : entries_) {
      if (!(key == filter)) continue;
      known = std::move(matches);
      return;
    }
    if (entries_.size() == kEntries) entries_.pop_back();
    entries_.emplace_front(filter, std::move(matches));
  }

  // Forgets what is of views before this one: it may hold on to indexes that have changed since.
  void ForgetBefore(uint64_t view_version) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::deque<Entry> forgotten;  // freed without the lock
    absl::MutexLock lock(&mutex_);
    if (version_ < view_version) forgotten.swap(entries_);
  }

 private:
  static constexpr size_t kEntries = 16;

  absl::Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // newest first
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_FILTER_CACHE_H_
