#ifndef TESSERA_INDEX_IVF_CODE_BOUNDS_H_
#define TESSERA_INDEX_IVF_CODE_BOUNDS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/base/types.h"
#include "index/ivf/lists_snapshot.h"

namespace tessera {

// What is certain of a distance (as Neighbor::distance) that ExactScorer would give.
struct DistanceBounds {
  float lower;
  float upper;
};

// What a code tells of the exact distance between a query and the vector x that it stands for. With
// x~ the decoded vector and e = |x - x~| as stored, the triangle inequality and that of Cauchy and
// Schwarz give
//
//   L2:             | |q - x|  -  |q - x~| |  <=  e
//   inner product:  | <q, x>   -  <q, x~>  |  <=  |q| e
//
// and the same holds of the centroid, with the list's reach for e. All bounds are widened by what
// rounding may do: every number here is a sum of at most n = dimension + subquantizers products,
// each step of which is off by at most 2^-24 of its terms. README.md, "Bounds".
//
// Immutable and thread-safe. The snapshot must outlive it.
class CodeBounds {
 public:
  // One list, as the query sees it.
  struct List {
    float distance;  // to the centroid: |q - c|^2 or -<q, c>
    double norm;     // at least |x| of each vector in it
    double scale;    // at least the magnitude of each term of an estimate
    bool usable;     // else numbers are too large for any of this: nothing follows from codes
    float lower;     // no vector in the list is nearer
  };

  // `query` as the user gave it: of the codebook's dimension, finite.
  CodeBounds(const ListsSnapshot& lists, std::span<const float> query);

  // What the query's lookup table is made of (Codebook::ForTable).
  const float* table_query() const { return table_query_.data(); }
  List Of(size_t list) const;

  // Of a vector at `error` from its code, whose distance from the query is `estimate` but for
  // `slack` and rounding.
  DistanceBounds Around(const List& list, double estimate, double slack, float error) const;
  // Vectors of the list with a larger estimate are farther than `farthest`.
  float EstimateMax(const List& list, double slack, float farthest, float error_max) const;

  // Of the vector of a slot, by its decoded code; `list_hint` is looked into first. Infinite for
  // slots that are not in the lists.
  DistanceBounds OfSlot(Slot slot, uint32_t list_hint) const;

 private:
  bool FindCode(uint32_t list, Slot slot, uint8_t* code) const;
  double DecodedDistance(uint32_t list, const uint8_t* code) const;

  const ListsSnapshot& lists_;
  const Codebook& codebook_;
  const bool l2_;
  const double rounding_;     // relative, of a sum
  std::vector<float> query_;  // prepared
  std::vector<float> table_query_;
  double query_norm_ = 0;
  double residual_norm_max_ = 0;  // of any code
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_CODE_BOUNDS_H_
