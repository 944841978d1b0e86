#ifndef TESSERA_SERVER_ENGINE_STOPWATCH_H_
#define TESSERA_SERVER_ENGINE_STOPWATCH_H_

#include <chrono>
#include <cstdint>

namespace tessera {

// Microseconds between laps; costs nothing when off.
class Stopwatch {
 public:
  explicit Stopwatch(bool on) : on_(on) {
    if (on_) last_ = std::chrono::steady_clock::now();
  }
  uint64_t Lap() {
    if (!on_) return 0;
    const auto now = std::chrono::steady_clock::now();
    const auto lap = std::chrono::duration_cast<std::chrono::microseconds>(now - last_);
    last_ = now;
    return static_cast<uint64_t>(lap.count());
  }

 private:
  const bool on_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_STOPWATCH_H_
