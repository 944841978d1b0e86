#include "server/engine/recall_monitor.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <utility>

#include "absl/time/time.h"

namespace tessera {
namespace {

constexpr int kNice = 19;

// What this thread has had of a processor: on a busy machine far less than the clock says.
absl::Duration ThreadTime() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

}  // namespace

RecallMonitor::RecallMonitor(double core_share)
    : core_share_(core_share), thread_([this] { Run(); }) {}

void RecallMonitor::Offer(std::shared_ptr<const Collection> collection,
                          const SearchRequest& request, const SearchReport& report) {
  const bool is_verified =
      report.plan == SearchPlan::kLists && request.filter.empty() && !request.no_rerank;
  if (!is_verified || !collection->CanVerify()) return;
  auto sample = std::make_unique<Sample>();
  SearchRequest& one = sample->request;
  one.limit = request.offset + request.limit;
  one.score_threshold = request.score_threshold;
  one.nprobe = request.nprobe;
  one.rerank = request.rerank;
  one.target_recall = request.target_recall;
  one.positive = request.positive;
  one.negative = request.negative;
  // Of several queries another one each time.
  const uint64_t number = offered_.fetch_add(1, std::memory_order_relaxed);
  if (!request.ids.empty()) {
    one.ids = {request.ids[number % request.ids.size()]};
  } else if (request.vectors.rows > 0) {
    one.vectors = request.vectors.Rows(number % request.vectors.rows, 1);
    const std::byte* row = one.vectors.data;
    sample->vector.assign(row, row + one.vectors.row_bytes());
    one.vectors.data = sample->vector.data();
  }
  sample->collection = std::move(collection);
  // Who has it may be the thread that makes way for this one, and would be waited for.
  if (!mutex_.TryLock()) return;
  if (wants_search()) {
    wants_search_.store(false, std::memory_order_relaxed);
    sample_ = std::move(sample);
  }
  mutex_.Unlock();
}

void RecallMonitor::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void RecallMonitor::Run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  while (true) {
    std::unique_ptr<Sample> sample;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &RecallMonitor::HasReason));
      if (stopped_) return;
      sample = std::move(sample_);
    }
    const absl::Duration begin = ThreadTime();
    // A search that was possible may not be any more: then there is nothing to learn from it.
    sample->collection->VerifySearch(sample->request).IgnoreError();
    sample.reset();
    const absl::Duration rest = (ThreadTime() - begin) * (1 / core_share_ - 1);
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopped_), rest)) return;
    wants_search_.store(true, std::memory_order_relaxed);
  }
}

}  // namespace tessera
