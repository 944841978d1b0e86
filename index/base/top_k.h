#ifndef TESSERA_INDEX_BASE_TOP_K_H_
#define TESSERA_INDEX_BASE_TOP_K_H_

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "index/base/types.h"

namespace tessera {

// Keeps the k smallest of the neighbours pushed (ties: the smaller slot, or the one that is first
// in the order that is given). The answer does not depend on the order of the pushes.
//
// A buffer of 2k: a push beyond the threshold costs one comparison, and when the buffer is full a
// selection drops its larger half and lowers the threshold. That is a constant amortised cost per
// push, where a heap pays log k. Not thread-safe; reusable after Take() or Reset().
class TopK {
 public:
  // Whether the first of two equally far slots comes before the second: a strict order.
  using TieOrder = std::function<bool(Slot, Slot)>;

  explicit TopK(size_t k, TieOrder ties = {}) : ties_(std::move(ties)) { Reset(k); }

  // Starts anew, for another k; keeps the memory.
  void Reset(size_t k);

  // NaN distances are dropped.
  void Push(float distance, Slot slot) {
    if (!(distance <= threshold_)) return;
    Append(Neighbor{distance, slot});
  }
  void Push(const float* distances, const Slot* slots, size_t n) {
    for (size_t i = 0; i < n; ++i) Push(distances[i], slots[i]);
  }

  // No neighbour with a larger distance can be among the k. Infinity until k have been seen, and
  // between selections larger than the distance of the k-th.
  float threshold() const { return threshold_; }

  // The best k, or all if fewer were pushed, ascending. The object is empty afterwards.
  std::vector<Neighbor> Take();
  // The same into memory of the caller's with room for k; returns how many. Allocates nothing.
  size_t TakeTo(Neighbor* out);

 private:
  void Append(Neighbor neighbor);
  void Select();
  bool Before(const Neighbor& a, const Neighbor& b) const {
    if (ties_ && a.distance == b.distance) return ties_(a.slot, b.slot);
    return a < b;
  }

  TieOrder ties_;
  size_t k_ = 0;
  size_t size_ = 0;
  float threshold_;
  std::vector<Neighbor> buffer_;  // 2k, of which size_ are in use
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_TOP_K_H_
