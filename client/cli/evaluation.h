#ifndef TESSERA_CLIENT_CLI_EVALUATION_H_
#define TESSERA_CLIENT_CLI_EVALUATION_H_

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/files/row_reader.h"
#include "client/cli/query_source.h"
#include "client/cpp/client.h"

namespace tessera::cli {

inline constexpr std::array<size_t, 3> kRecallDepths = {1, 10, 100};

// How one row of an evaluation's table is searched.
struct EvaluationPlan {
  v1::SearchRequest request;  // without its queries
  uint64_t threads = 1;       // that send single queries at the same time
  uint64_t batch = 0;         // queries a request in a second pass; 0: no such pass
  uint64_t warmup = 0;        // queries sent before the clock starts
};

struct EvaluationResult {
  // Means over the queries; absent where fewer neighbours are asked for or known.
  std::array<std::optional<double>, kRecallDepths.size()> recall;
  double qps = 0;  // queries a second of the pass with one query a request
  double p50_ms = 0;
  double p99_ms = 0;
  std::optional<double> batch_qps;
  std::vector<std::vector<uint64_t>> found;  // by each query, nearest first
};

// The ids of a result's hits. FAILED_PRECONDITION if one is a string.
absl::StatusOr<std::vector<uint64_t>> RowNumbers(const v1::SearchResult& result);

// Called now and then with the queries that are done, of both passes; from one thread at a time.
using EvaluationProgress = std::function<void(uint64_t done)>;

// Searches for every query and compares the answers with the ground truth, whose rows belong to the
// queries of the same number in the file. Needs truth.queries >= queries.first_row + queries.rows.
absl::StatusOr<EvaluationResult> Evaluate(Client& client, const EvaluationPlan& plan,
                                          const QuerySet& queries, const GroundTruth& truth,
                                          const EvaluationProgress& progress);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_EVALUATION_H_
