#ifndef TESSERA_SERVER_ENGINE_CALIBRATION_H_
#define TESSERA_SERVER_ENGINE_CALIBRATION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "index/base/types.h"
#include "index/codebook/parameters.h"
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

  // What a depth is chosen by besides what was measured.
  struct Choice {
    uint64_t points = 0;  // that are searched
    DepthCost cost;
    SearchDepth suits_most;  // for kSuitsMostRecall of data of which nothing is known
  };
  static constexpr double kSuitsMostRecall = 0.975;

  // How deep a search must go for k neighbours with that recall; none if it would have to go deeper
  // than was measured. Points may lie nearer to each other than queries do to them, moved copies
  // for one: where they were the queries, no less deep than suits most data.
  std::optional<SearchDepth> DepthFor(uint64_t k, double recall, const Choice& choice) const;
  // What such a search finds; none if that was not measured.
  std::optional<double> RecallOf(uint64_t k, const SearchDepth& depth, uint64_t points) const;
  // Where searches of the default depth were measured to find less than they are to, one that finds
  // as much if there is, no less deep; else the same.
  SearchDefaults Deepened(const SearchDefaults& defaults, const Choice& choice) const;
};

// For people to read: the depths that some shares of recall take, for 10 neighbours.
CalibrationInfo Describe(const Calibration& calibration, const Calibration::Choice& choice);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_CALIBRATION_H_
