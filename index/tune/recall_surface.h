#ifndef TESSERA_INDEX_TUNE_RECALL_SURFACE_H_
#define TESSERA_INDEX_TUNE_RECALL_SURFACE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// How deep a search goes.
struct SearchDepth {
  uint32_t nprobe = 0;
  uint32_t rerank = 0;  // candidates whose full vectors are compared

  friend bool operator==(const SearchDepth&, const SearchDepth&) = default;
};

// What going deeper costs.
struct DepthCost {
  double list_ns = 0;       // to scan one more list
  double candidate_ns = 0;  // to compare one more candidate in full
};

// The share of the true k nearest neighbours that searches find, by how deep they go: measured for
// a few k, on a grid of depths (RecallMeter). Immutable and thread-safe.
class RecallSurface {
 public:
  // The numbers of neighbours that are measured. Between two of them the share is interpolated: of
  // searches that compare as many candidates for each neighbour.
  static constexpr std::array<uint32_t, 7> kNeighbors = {1, 3, 10, 30, 100, 300, 1000};

  struct Grid {
    std::vector<uint32_t> nprobes;  // ascending, of both
    std::vector<uint32_t> reranks;

    size_t depths() const { return nprobes.size() * reranks.size(); }
    friend bool operator==(const Grid&, const Grid&) = default;
  };
  // A share, and the standard error of it.
  struct Measured {
    float share = 0;
    float error = 0;

    friend bool operator==(const Measured&, const Measured&) = default;
  };

  // `shares` has kNeighbors.size() x nprobes x reranks values, in this order. `points` were
  // searched, at least 1, by `queries`, at least 1.
  RecallSurface(uint64_t points, uint32_t queries, Grid grid, std::vector<Measured> shares);

  // About the cheapest depth at which searches for k neighbours find `target` of them on average,
  // so that the share less its standard error is as much. None if no depth that was measured does,
  // or k is more than was measured.
  std::optional<SearchDepth> Cheapest(uint64_t k, double target, const DepthCost& cost) const;

  // The share that searches for k neighbours find; none if k or the depth is not what was measured.
  std::optional<double> Share(uint64_t k, const SearchDepth& depth) const;

  uint64_t points() const { return points_; }
  uint32_t queries() const { return queries_; }
  const Grid& grid() const { return grid_; }
  size_t memory_bytes() const;

  // The form that README.md in this folder gives the grammar of.
  std::string Serialize() const;
  // DATA_LOSS if the bytes are damaged.
  static absl::StatusOr<RecallSurface> Parse(std::string_view bytes);

  friend bool operator==(const RecallSurface&, const RecallSurface&) = default;

 private:
  class OfNeighbors;
  // Between two reranks of the grid.
  struct Place {
    size_t at = 0;  // the number of the first of them
    double towards_next = 0;
  };
  Place PlaceOf(double rerank) const;

  uint64_t points_;
  uint32_t queries_;
  Grid grid_;
  std::vector<Measured> shares_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_TUNE_RECALL_SURFACE_H_
