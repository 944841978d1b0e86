#ifndef TESSERA_SERVER_ENGINE_FILTER_CACHE_H_
#define TESSERA_SERVER_ENGINE_FILTER_CACHE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/base/slot_mask.h"
#include "server/filter/filter.h"
#include "server/filter/payload_indexes.h"

namespace tessera {

// The points of a view that match a filter. Immutable once it is shared, but for the mask.
struct FilterMatches {
  Roaring slots;
  uint64_t count = 0;
  uint64_t payloads_read = 0;
  std::vector<std::string> unindexed;
};

// What the last filters of a collection matched in its newest view: searches often ask again, and
// an answer may have cost a walk over all payloads. Thread-safe; no writer takes its lock.
class FilterCache {
 public:
  // What is computed from a filter: the matches, and for scans their mask (null until it is
  // needed).
  struct Entry {
    std::shared_ptr<const FilterMatches> matches;
    std::shared_ptr<const SlotMask> mask;
  };

  std::optional<Entry> Find(uint64_t view_version, const Filter& filter)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (view_version != version_) return std::nullopt;
    for (const auto& [key, entry] : entries_) {
      if (key == filter) return entry;
    }
    return std::nullopt;
  }

  void Put(uint64_t view_version, const Filter& filter, Entry entry) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (view_version < version_) return;
    if (view_version > version_) entries_.clear();
    version_ = view_version;
    for (auto& [key, known] : entries_) {
      if (!(key == filter)) continue;
      known = std::move(entry);
      return;
    }
    if (entries_.size() == kEntries) entries_.pop_back();
    entries_.emplace_front(filter, std::move(entry));
  }

 private:
  static constexpr size_t kEntries = 16;

  absl::Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<std::pair<Filter, Entry>> entries_ ABSL_GUARDED_BY(mutex_);  // newest first
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_FILTER_CACHE_H_
