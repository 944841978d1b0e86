#ifndef TESSERA_SERVER_ENGINE_VERIFIED_RECALL_H_
#define TESSERA_SERVER_ENGINE_VERIFIED_RECALL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/types.h"

namespace tessera {

// What searches were found to find, of late: the last some, of one codebook. Thread-safe.
class VerifiedRecall {
 public:
  // A search found so many of the hits of an exact one. A search with another codebook than the
  // ones before makes them forgotten: they say nothing of it.
  void Add(uint32_t codebook_version, double recall) ABSL_LOCKS_EXCLUDED(mutex_);
  // Of the codebook's searches; nothing before the first.
  std::optional<VerifiedRecallInfo> Of(uint32_t codebook_version) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static constexpr size_t kSearchesKept = 1'000;

  mutable absl::Mutex mutex_;
  uint32_t codebook_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<double> recalls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_VERIFIED_RECALL_H_
