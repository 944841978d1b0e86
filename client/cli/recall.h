#ifndef TESSERA_CLIENT_CLI_RECALL_H_
#define TESSERA_CLIENT_CLI_RECALL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// What an evaluation measures. Pure functions.
namespace tessera::cli {

// recall@k of one query: the share of the true k nearest that are among the first k returned.
// `returned` holds no id twice; one with fewer than k ids is judged by what it has. Needs
// truth.size() >= k >= 1.
double RecallAtK(std::span<const uint64_t> returned, std::span<const int32_t> truth, size_t k);

// The true k nearest that are not among the first k returned, in their order; those that a file
// lacks, negative ones, among them.
std::vector<int32_t> Missed(std::span<const uint64_t> returned, std::span<const int32_t> truth,
                            size_t k);

// The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank).
// 0 if there are none. Reorders `values`.
double Percentile(std::vector<double>& values, double share);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_RECALL_H_
