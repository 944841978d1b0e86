#include "client/cli/recall.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_set>

namespace tessera::cli {

double RecallAtK(std::span<const uint64_t> returned, std::span<const int32_t> truth, size_t k) {
  return 1 - static_cast<double>(Missed(returned, truth, k).size()) / static_cast<double>(k);
}

std::vector<int32_t> Missed(std::span<const uint64_t> returned, std::span<const int32_t> truth,
                            size_t k) {
  const std::span<const uint64_t> first = returned.first(std::min(k, returned.size()));
  const std::unordered_set<uint64_t> found(first.begin(), first.end());
  std::vector<int32_t> missed;
  std::ranges::copy_if(truth.first(k), std::back_inserter(missed), [&](int32_t id) {
    return id < 0 || !found.contains(static_cast<uint64_t>(id));  // files pad short rows with -1
  });
  return missed;
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
