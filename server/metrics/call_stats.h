#ifndef TESSERA_SERVER_METRICS_CALL_STATS_H_
#define TESSERA_SERVER_METRICS_CALL_STATS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tessera {

// How the calls of each method ended, and how long they took, since the start. Thread-safe;
// recording a call costs a lookup and three atomic additions.
class CallStats {
 public:
  static constexpr size_t kCodes = 17;  // gRPC's, from 0 for OK
  // Upper bounds of a call's time, in seconds; what is longer has a place of its own.
  static constexpr auto kTimeBounds =
      std::to_array({0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                     0.5, 1.0, 2.5, 5.0, 10.0, 60.0});

  struct Method {
    std::string name;                                           // "Points.Search"
    std::array<uint64_t, kCodes> by_code = {};                  // calls
    std::array<uint64_t, kTimeBounds.size() + 1> by_time = {};  // calls, each in one place
    absl::Duration time;                                        // of all of them
  };

  CallStats();
  ~CallStats();

  void Record(std::string_view method, absl::StatusCode code, absl::Duration time)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // In the order of names. A call that ends meanwhile may be in some of the numbers.
  std::vector<Method> Read() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Counts;
  Counts& CountsOf(std::string_view method) ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;  // of the map, not of what it leads to
  absl::flat_hash_map<std::string, std::unique_ptr<Counts>> methods_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_METRICS_CALL_STATS_H_
