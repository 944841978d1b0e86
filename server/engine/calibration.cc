#include "server/engine/calibration.h"

#include <algorithm>
#include <cmath>

#include "index/base/limits.h"

namespace tessera {
namespace {

// Depths are described for so many neighbours, and defaults are for as many.
constexpr uint64_t kUsualNeighbors = 10;
// What searches by default are to find of them.
constexpr double kDefaultRecall = 0.95;
constexpr double kDescribedRecalls[] = {0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995};

// Lists and candidates grow with this power of the share that may be missed: as SIFT has it, from
// 0.80 to 0.99.
constexpr double kDepthPower = 0.75;

}  // namespace

std::optional<SearchDepth> Calibration::DepthFor(uint64_t k, double recall,
                                                 const Choice& choice) const {
  std::optional<SearchDepth> depth = surface.Cheapest(k, recall, choice.cost);
  if (!depth.has_value()) return std::nullopt;
  double nprobe = depth->nprobe;
  double rerank = depth->rerank * RerankGrowth(surface.points(), choice.points);
  if (stored_queries) {
    const double part = std::pow((1 - kSuitsMostRecall) / (1 - recall), kDepthPower);
    nprobe = std::max(nprobe, part * choice.suits_most.nprobe);
    rerank = std::max(rerank, part * choice.suits_most.rerank);
  }
  const double lists = surface.grid().nprobes.back();
  depth->nprobe = static_cast<uint32_t>(std::min(std::ceil(nprobe), lists));
  depth->rerank = static_cast<uint32_t>(std::min<double>(std::ceil(rerank), limits::kRerankMax));
  return depth;
}

std::optional<double> Calibration::RecallOf(uint64_t k, const SearchDepth& depth,
                                            uint64_t points) const {
  const double rerank = depth.rerank / RerankGrowth(surface.points(), points);
  return surface.Share(k, {depth.nprobe, static_cast<uint32_t>(std::max(rerank, 1.0))});
}

SearchDefaults Calibration::Deepened(const SearchDefaults& defaults, const Choice& choice) const {
  const auto found = RecallOf(kUsualNeighbors, {defaults.nprobe, defaults.rerank}, choice.points);
  if (!found.has_value() || *found >= kDefaultRecall) return defaults;
  const auto depth = DepthFor(kUsualNeighbors, kDefaultRecall, choice);
  if (!depth.has_value()) return defaults;
  return {std::max(defaults.nprobe, depth->nprobe), std::max(defaults.rerank, depth->rerank)};
}

CalibrationInfo Describe(const Calibration& calibration, const Calibration::Choice& choice) {
  CalibrationInfo info;
  info.codebook_version = calibration.codebook_version;
  info.create_time_ms = calibration.create_time_ms;
  info.points = calibration.surface.points();
  info.queries = calibration.surface.queries();
  info.stored_queries = calibration.stored_queries;
  for (const double recall : kDescribedRecalls) {
    const auto depth = calibration.DepthFor(kUsualNeighbors, recall, choice);
    if (depth.has_value()) info.depths.push_back({recall, depth->nprobe, depth->rerank});
  }
  return info;
}

}  // namespace tessera
