#include "client/cli/evaluation.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/cli/recall.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

// One pass over all queries, `per_request` at a time, by several threads that take the next
// request as they become free.
class Pass {
 public:
  Pass(Client& client, const v1::SearchRequest& request, const QuerySet& queries,
       uint64_t per_request, const EvaluationProgress& progress)
      : client_(client),
        request_(request),
        queries_(queries),
        per_request_(per_request),
        progress_(progress),
        ids_(queries.rows) {}

  absl::Status Run(uint64_t threads) ABSL_LOCKS_EXCLUDED(mutex_) {
    const absl::Time begin = absl::Now();
    std::vector<std::thread> workers;
    for (uint64_t i = 1; i < threads; ++i) workers.emplace_back([this] { Work(); });
    Work();
    for (std::thread& worker : workers) worker.join();
    seconds_ = absl::ToDoubleSeconds(absl::Now() - begin);
    absl::MutexLock lock(&mutex_);
    return status_;
  }

  // Once Run has returned.
  double qps() const { return static_cast<double>(queries_.rows) / seconds_; }
  std::vector<std::vector<uint64_t>> TakeIds() { return std::move(ids_); }
  std::vector<double> TakeLatencies() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return std::move(latencies_ms_);
  }

 private:
  void Work() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<double> latencies_ms;
    absl::Status status;
    while (status.ok()) {
      const uint64_t begin = next_.fetch_add(per_request_);
      if (begin >= queries_.rows) break;
      status = SearchOne(begin, std::min(per_request_, queries_.rows - begin), &latencies_ms);
    }
    absl::MutexLock lock(&mutex_);
    latencies_ms_.insert(latencies_ms_.end(), latencies_ms.begin(), latencies_ms.end());
    if (!status.ok()) {
      next_ = queries_.rows;  // the others need not go on
      if (status_.ok()) status_ = status;
    }
  }

  absl::Status SearchOne(uint64_t begin, uint64_t count, std::vector<double>* latencies_ms)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    v1::SearchRequest request = request_;
    *request.mutable_vectors() = queries_.Slice(begin, count);
    const absl::Time sent = absl::Now();
    ASSIGN_OR_RETURN(const v1::SearchResponse response, client_.Search(request));
    latencies_ms->push_back(absl::ToDoubleMilliseconds(absl::Now() - sent));
    if (static_cast<uint64_t>(response.results_size()) != count) {
      return absl::InternalError(absl::StrCat("the server answered ", count, " queries with ",
                                              response.results_size(), " results"));
    }
    for (uint64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(ids_[begin + i], RowNumbers(response.results(static_cast<int>(i))));
    }
    absl::MutexLock lock(&mutex_);
    done_ += count;
    if (progress_) progress_(done_);
    return absl::OkStatus();
  }

  Client& client_;
  const v1::SearchRequest& request_;
  const QuerySet& queries_;
  const uint64_t per_request_;
  const EvaluationProgress& progress_;
  std::atomic<uint64_t> next_ = 0;
  std::vector<std::vector<uint64_t>> ids_;  // each element written by one thread
  double seconds_ = 0;
  absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  uint64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<double> latencies_ms_ ABSL_GUARDED_BY(mutex_);
};

void MeasureRecall(const std::vector<std::vector<uint64_t>>& ids, uint64_t first_row,
                   const GroundTruth& truth, uint32_t limit, EvaluationResult* result) {
  for (size_t depth = 0; depth < kRecallDepths.size(); ++depth) {
    const size_t k = kRecallDepths[depth];
    if (k > limit || k > truth.neighbors) continue;
    double sum = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      const std::span<const int32_t> row(truth.ids.data() + (first_row + i) * truth.neighbors,
                                         truth.neighbors);
      sum += RecallAtK(ids[i], row, k);
    }
    result->recall[depth] = sum / static_cast<double>(ids.size());
  }
}

absl::Status WarmUp(Client& client, const EvaluationPlan& plan, const QuerySet& queries) {
  for (uint64_t i = 0; i < std::min(plan.warmup, queries.rows); ++i) {
    v1::SearchRequest request = plan.request;
    *request.mutable_vectors() = queries.Slice(i, 1);
    RETURN_IF_ERROR(client.Search(request).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<uint64_t>> RowNumbers(const v1::SearchResult& result) {
  std::vector<uint64_t> ids;
  ids.reserve(static_cast<size_t>(result.hits_size()));
  for (const v1::ScoredPoint& hit : result.hits()) {
    if (hit.id().kind_case() != v1::PointId::kNum) {
      return absl::FailedPreconditionError(
          absl::StrCat("point \"", hit.id().str(),
                       "\" has a string id, but ground truth holds row numbers: load the points "
                       "with row numbers as ids to evaluate"));
    }
    ids.push_back(hit.id().num());
  }
  return ids;
}

absl::StatusOr<EvaluationResult> Evaluate(Client& client, const EvaluationPlan& plan,
                                          const QuerySet& queries, const GroundTruth& truth,
                                          const EvaluationProgress& progress) {
  RETURN_IF_ERROR(WarmUp(client, plan, queries));
  EvaluationResult result;
  Pass single(client, plan.request, queries, 1, progress);
  RETURN_IF_ERROR(single.Run(plan.threads));
  std::vector<double> latencies_ms = single.TakeLatencies();
  result.qps = single.qps();
  result.p50_ms = Percentile(latencies_ms, 0.50);
  result.p99_ms = Percentile(latencies_ms, 0.99);
  result.found = single.TakeIds();
  MeasureRecall(result.found, queries.first_row, truth, plan.request.limit(), &result);
  if (plan.batch > 0) {
    const EvaluationProgress offset = [&](uint64_t done) {
      if (progress) progress(queries.rows + done);
    };
    Pass batched(client, plan.request, queries, plan.batch, offset);
    RETURN_IF_ERROR(batched.Run(plan.threads));
    result.batch_qps = batched.qps();
  }
  return result;
}

}  // namespace tessera::cli
