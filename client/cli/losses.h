#ifndef TESSERA_CLIENT_CLI_LOSSES_H_
#define TESSERA_CLIENT_CLI_LOSSES_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/files/row_reader.h"
#include "client/cli/query_source.h"
#include "client/cpp/client.h"

namespace tessera::cli {

// Why searches miss true neighbours: what each step of a search costs, as shares of the `k` nearest
// of each query. With recall@k they add up to 1.
struct Losses {
  size_t k = 0;
  double lists = 0;  // in no list that was probed: more nprobe finds them
  // In one, but by their codes not among the candidates: more rerank finds them, or finer codes.
  double codes = 0;
  // Not found exactly either: as far as another point that was found, deleted, or the ground truth
  // of other points or another metric.
  double other = 0;
};

// Called now and then, with the queries that have been searched for again and those that are to be,
// first in the same lists, then exactly.
using LossesProgress = std::function<void(uint64_t done, uint64_t total)>;

// Searches again for queries of which `found` lacks true neighbours: in the same lists, but with
// all that they hold as candidates, then exactly. `request` is the one that gave `found` (without
// its queries), `found` a row for each query, nearest first. Needs 1 <= k <= truth.neighbors and
// truth.queries >= queries.first_row + queries.rows.
absl::StatusOr<Losses> MeasureLosses(Client& client, const v1::SearchRequest& request,
                                     const QuerySet& queries, const GroundTruth& truth,
                                     std::span<const std::vector<uint64_t>> found, size_t k,
                                     const LossesProgress& progress);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_LOSSES_H_
