#include "client/cli/losses.h"

#include <algorithm>
#include <utility>

#include "client/cli/evaluation.h"
#include "client/cli/recall.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

// Queries of a request: few enough for an exact search of a large collection to answer in time.
constexpr size_t kQueriesPerRequest = 16;

// The request in the same lists, as far as it goes through lists, with all candidates.
absl::StatusOr<v1::SearchRequest> WithAllCandidates(Client& client, v1::SearchRequest request,
                                                    const QuerySet& queries) {
  if (request.params().has_target_recall()) {
    // The depth is the server's choice: only an answer tells it.
    request.set_explain(true);
    *request.mutable_vectors() = queries.Slice(0, 1);
    ASSIGN_OR_RETURN(const v1::SearchResponse response, client.Search(request));
    request.clear_explain();
    request.clear_vectors();
    request.clear_params();
    request.mutable_params()->set_nprobe(response.explanation().nprobe());
    request.mutable_params()->set_exact(response.plan() == v1::EXACT);
  }
  request.mutable_params()->set_no_rerank(false);
  request.mutable_params()->set_rerank(limits::kRerankMax);
  return request;
}

v1::SearchRequest Exactly(v1::SearchRequest request) {
  request.clear_params();
  request.mutable_params()->set_exact(true);
  return request;
}

class LossMeasurement {
 public:
  LossMeasurement(Client& client, const QuerySet& queries, const GroundTruth& truth, size_t k,
                  const LossesProgress& progress)
      : client_(client), queries_(queries), truth_(truth), k_(k), progress_(progress) {}

  // The true neighbours of a query, by its place in the set, that are not among the first k.
  std::vector<int32_t> MissedOf(size_t query, std::span<const uint64_t> found) const {
    const std::span<const int32_t> nearest(
        truth_.ids.data() + (queries_.first_row + query) * truth_.neighbors, truth_.neighbors);
    return Missed(found, nearest, k_);
  }

  // Searches for the queries that still miss neighbours, and takes from `missed` what is found.
  // Returns how many neighbours that is.
  absl::StatusOr<uint64_t> Find(v1::SearchRequest request,
                                std::vector<std::vector<int32_t>>* missed) {
    std::vector<size_t> open;
    for (size_t q = 0; q < missed->size(); ++q) {
      if (!(*missed)[q].empty()) open.push_back(q);
    }
    uint64_t found = 0;
    for (size_t begin = 0; begin < open.size(); begin += kQueriesPerRequest) {
      const size_t end = std::min(begin + kQueriesPerRequest, open.size());
      const std::span<const size_t> some = std::span(open).subspan(begin, end - begin);
      *request.mutable_vectors() = queries_.Gather(some);
      ASSIGN_OR_RETURN(const v1::SearchResponse response, client_.Search(request));
      for (size_t i = 0; i < some.size(); ++i) {
        ASSIGN_OR_RETURN(const std::vector<uint64_t> ids,
                         RowNumbers(response.results(static_cast<int>(i))));
        std::vector<int32_t>& of_query = (*missed)[some[i]];
        const size_t before = of_query.size();
        const std::vector<int32_t> still = MissedOf(some[i], ids);
        // What was found before stays found, whatever is equally far.
        std::erase_if(of_query,
                      [&](int32_t id) { return std::ranges::find(still, id) == still.end(); });
        found += before - of_query.size();
      }
      if (progress_) progress_(end, open.size());
    }
    return found;
  }

 private:
  Client& client_;
  const QuerySet& queries_;
  const GroundTruth& truth_;
  const size_t k_;
  const LossesProgress& progress_;
};

}  // namespace

absl::StatusOr<Losses> MeasureLosses(Client& client, const v1::SearchRequest& request,
                                     const QuerySet& queries, const GroundTruth& truth,
                                     std::span<const std::vector<uint64_t>> found, size_t k,
                                     const LossesProgress& progress) {
  LossMeasurement measurement(client, queries, truth, k, progress);
  std::vector<std::vector<int32_t>> missed;
  for (size_t q = 0; q < found.size(); ++q) missed.push_back(measurement.MissedOf(q, found[q]));
  ASSIGN_OR_RETURN(v1::SearchRequest deeper, WithAllCandidates(client, request, queries));
  ASSIGN_OR_RETURN(const uint64_t by_codes, measurement.Find(std::move(deeper), &missed));
  ASSIGN_OR_RETURN(const uint64_t by_lists, measurement.Find(Exactly(request), &missed));
  uint64_t others = 0;
  for (const std::vector<int32_t>& of_query : missed) others += of_query.size();
  const double all = static_cast<double>(found.size() * k);
  return Losses{.k = k,
                .lists = static_cast<double>(by_lists) / all,
                .codes = static_cast<double>(by_codes) / all,
                .other = static_cast<double>(others) / all};
}

}  // namespace tessera::cli
