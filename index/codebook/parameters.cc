#include "index/codebook/parameters.h"

#include <algorithm>
#include <cmath>

#include "index/base/limits.h"

namespace tessera {
namespace {

// A list should be trained on at least this many vectors, or its centroid is noise.
constexpr uint64_t kPointsPerListMin = 40;
// Lists for each square root of the number of points: as many as keep the coarse step cheap.
constexpr double kListsFactor = 8;
// Components per subquantizer of 4 bits. Coarser codes are scanned faster and rank the true
// neighbours lower: where full vectors are in memory, comparing more of them is cheaper than finer
// codes. However few components there are, a code keeps some subquantizers.
constexpr uint32_t kFineComponents = 2;
constexpr uint32_t kCoarseComponents = 4;
constexpr uint32_t kCoarseFromDimension = 512;
constexpr uint32_t kSubquantizersWanted = 16;
// Below this dimension a code is small whatever its bits: spend 8 on each component.
constexpr uint32_t kTinyDimension = 8;

// Lists probed by default: this many times the square root of nlist, fewer where each query has its
// own number of them, and at least so many.
constexpr double kProbeFactor = 1.25;
constexpr double kProbeFactorByRule = 1.0;
constexpr uint32_t kProbeMin = 8;
// To find a vector, and then to read and compare a byte of it (README.md).
constexpr double kMemoryReadNs = 10;
constexpr double kDiskReadNs = 1'500;
constexpr double kCandidateNsPerByte = 0.12;
// To read a byte of the lists from memory, and the bytes of an entry beside its code.
constexpr double kScanNsPerByte = 0.05;
constexpr double kEntryBytes = 10;
// As many times the points that there were at the training, codes may suit them no more.
constexpr uint64_t kOutgrown = 2;
// Candidates reranked grow with a power of the points. From the sample on where it was measured how
// many that takes, else from so many points on.
constexpr double kMeasuredRerankPower = 0.5;
constexpr double kRerankPower = 0.25;
constexpr double kRerankGrowsFrom = 1e6;

double Growth(double from, uint64_t to, double power) {
  return std::pow(std::max(1.0, static_cast<double>(to) / from), power);
}

uint32_t ChooseLists(uint64_t points) {
  const auto wanted = static_cast<uint64_t>(kListsFactor * std::sqrt(static_cast<double>(points)));
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(std::min(wanted, points / kPointsPerListMin), 1, limits::kListsMax));
}

uint32_t ChooseSubquantizers(uint32_t dimension, RerankSource source) {
  const bool coarse = source == RerankSource::kMemory || dimension >= kCoarseFromDimension;
  const uint32_t components = dimension <= kTinyDimension
                                  ? 1
                                  : std::clamp(dimension / kSubquantizersWanted, 1u,
                                               coarse ? kCoarseComponents : kFineComponents);
  return std::clamp<uint32_t>((dimension + components - 1) / components, 1,
                              limits::kSubquantizersMax);
}

}  // namespace

void ChooseIndexParameters(Metric metric, uint32_t dimension, uint64_t points, RerankSource source,
                           CodebookSpec* spec) {
  spec->metric = metric;
  spec->dimension = dimension;
  if (spec->nbits == 0) spec->nbits = dimension <= kTinyDimension ? 8 : 4;
  if (spec->subquantizers == 0) spec->subquantizers = ChooseSubquantizers(dimension, source);
  if (spec->nlist == 0) spec->nlist = ChooseLists(points);
  if (spec->seed == 0) spec->seed = 1;
  if (spec->iterations == 0) spec->iterations = 20;
  if (spec->training_vectors_per_list == 0) spec->training_vectors_per_list = 256;
}

SearchDefaults ChooseSearchDefaults(const CodebookSpec& spec, const ProbeRule& rule,
                                    const SearchNeeds& measured, uint64_t points) {
  SearchDefaults defaults;
  // The share of the lists that holds the neighbours shrinks as lists become more, about as the
  // square root of their number. Queries may lie farther from the points than those lie from each
  // other: what was measured of points adds to that, and takes nothing from it.
  const double factor = rule.empty() ? kProbeFactor : kProbeFactorByRule;
  const double lists = factor * std::sqrt(static_cast<double>(spec.nlist));
  defaults.nprobe =
      std::min(spec.nlist, std::max({kProbeMin, static_cast<uint32_t>(lists), measured.nprobe}));
  // Coarser codes rank the true neighbours lower.
  const double bits_per_component =
      static_cast<double>(spec.subquantizers) * spec.nbits / std::max(1u, spec.dimension);
  double base = bits_per_component >= 1.75 ? 100 : bits_per_component >= 0.9 ? 250 : 500;
  double growth = Growth(kRerankGrowsFrom, points, kRerankPower);
  if (measured.rerank > 0) {
    // Of points that were not there to be measured, most may be unlike those that were.
    const bool outgrown = points / kOutgrown > measured.points;
    base = outgrown ? std::max<double>(base, measured.rerank) : measured.rerank;
    growth = RerankGrowth(measured.vectors, points);
  }
  defaults.rerank = static_cast<uint32_t>(
      std::min<uint64_t>({static_cast<uint64_t>(base * growth), points, limits::kRerankMax}));
  return defaults;
}

double RerankGrowth(uint64_t measured_points, uint64_t points) {
  return Growth(static_cast<double>(measured_points), points, kMeasuredRerankPower);
}

double EntryNs(size_t code_bytes) {
  return (static_cast<double>(code_bytes) + kEntryBytes) * kScanNsPerByte;
}

double CandidateNs(RerankSource source, size_t vector_bytes) {
  return (source == RerankSource::kDisk ? kDiskReadNs : kMemoryReadNs) +
         static_cast<double>(vector_bytes) * kCandidateNsPerByte;
}

uint64_t RerankFor(const SearchDefaults& defaults, uint64_t k) {
  if (defaults.rerank == 0) return 0;
  return std::min<uint64_t>(std::max<uint64_t>(defaults.rerank, 10 * k), limits::kRerankMax);
}

}  // namespace tessera
