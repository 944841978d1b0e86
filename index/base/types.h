#ifndef TESSERA_INDEX_BASE_TYPES_H_
#define TESSERA_INDEX_BASE_TYPES_H_

#include <cstddef>
#include <cstdint>

namespace tessera {

// The values are stored on disk: never renumber.
enum class Metric : uint8_t {
  kL2 = 1,            // squared Euclidean distance, smaller is nearer
  kInnerProduct = 2,  // larger is nearer
  kCosine = 3,        // inner product of the normalised vectors, larger is nearer
};

// The type of one component of a vector. The values are stored on disk: never renumber.
enum class ElementType : uint8_t { kFloat32 = 1, kFloat16 = 2, kUint8 = 3, kInt8 = 4 };

constexpr size_t ElementSize(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return 4;
    case ElementType::kFloat16:
      return 2;
    case ElementType::kUint8:
    case ElementType::kInt8:
      return 1;
  }
  return 0;
}

// The number of a point inside one collection; dense, so that per-point state lives in arrays.
using Slot = uint32_t;
inline constexpr Slot kInvalidSlot = 0xFFFFFFFFu;

// Inside the index, nearer is always smaller: "distance" is the squared L2 distance, or the
// negated inner product. The RPC edge turns it into the score that a user expects.
struct Neighbor {
  float distance;
  Slot slot;

  friend bool operator<(const Neighbor& a, const Neighbor& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.slot < b.slot);
  }
  friend bool operator==(const Neighbor&, const Neighbor&) = default;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_TYPES_H_
