#ifndef TESSERA_INDEX_BASE_STOPWATCH_H_
#define TESSERA_INDEX_BASE_STOPWATCH_H_

#include <chrono>
#include <cstdint>

namespace tessera {

// The time between laps; costs nothing when off.
class Stopwatch {
 public:
  explicit Stopwatch(bool on) : on_(on) {
    if (on_) last_ = std::chrono::steady_clock::now();
  }
  uint64_t LapNs() {
    if (!on_) return 0;
    const auto now = std::chrono::steady_clock::now();
    const auto lap = std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_);
    last_ = now;
    return static_cast<uint64_t>(lap.count());
  }
  uint64_t LapUs() { return LapNs() / 1'000; }

 private:
  const bool on_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_STOPWATCH_H_
