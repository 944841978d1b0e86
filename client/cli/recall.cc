#include "client/cli/recall.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace tessera::cli {

double RecallAtK(std::span<const uint64_t> returned, std::span<const int32_t> truth, size_t k) {
  std::unordered_set<uint64_t> nearest;
  for (const int32_t id : truth.first(k)) {
    if (id >= 0) nearest.insert(static_cast<uint64_t>(id));  // files pad short rows with -1
  }
  const auto first = returned.first(std::min(k, returned.size()));
  const auto found =
      std::count_if(first.begin(), first.end(), [&](uint64_t id) { return nearest.contains(id); });
  return static_cast<double>(found) / static_cast<double>(k);
}

double Percentile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  const size_t index =
      std::clamp<size_t>(static_cast<size_t>(std::max(rank, 1.0)), 1, values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index),
                   values.end());
  return values[index];
}

}  // namespace tessera::cli
