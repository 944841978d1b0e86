#ifndef TESSERA_INDEX_CLUSTER_RANDOM_H_
#define TESSERA_INDEX_CLUSTER_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// SplitMix64 (Steele, Lea and Flood, 2014): a small generator whose sequence is fixed by its seed
// on every platform, which the standard library's distributions are not. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, n), n > 0; the bias of the multiply is below n / 2^64.
  size_t Below(size_t n) {
    return static_cast<size_t>((static_cast<unsigned __int128>(Next()) * n) >> 64);
  }

  // Uniform in [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_RANDOM_H_
