#ifndef TESSERA_SERVER_ENGINE_CALIBRATION_H_
#define TESSERA_SERVER_ENGINE_CALIBRATION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "index/base/types.h"
#include "index/tune/recall_surface.h"
#include "server/engine/types.h"

namespace tessera {

// What searches of a collection were measured to find, with one codebook. Immutable.
struct Calibration {
  uint32_t codebook_version = 0;
  int64_t create_time_ms = 0;   // since the epoch
  bool stored_queries = false;  // the queries were points of the collection
  std::vector<Slot> held_back;  // slots whose points the codebook has not been trained on
  RecallSurface surface;

  // How deep a search of `points` must go for k neighbours with that recall; none if it would have
  // to go deeper than was measured.
  std::optional<SearchDepth> DepthFor(uint64_t k, double recall, uint64_t points,
                                      const DepthCost& cost) const;
  // What such a search finds; none if that was not measured.
  std::optional<double> RecallOf(uint64_t k, const SearchDepth& depth, uint64_t points) const;
};

// For people to read: the depths that some shares of recall take, for 10 neighbours.
CalibrationInfo Describe(const Calibration& calibration, uint64_t points, const DepthCost& cost);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_CALIBRATION_H_
