#include "server/rpc/search_gatherer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <iterator>
#include <utility>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/rpc/convert_points.h"
#include "server/rpc/points_handlers.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/rpc_status.h"
#include "tessera/v1/points.pb.h"

namespace tessera {
namespace {

// Whether two searches may run as one: the answers are then the same as apart.
bool RunAlike(const SearchRequest& a, const SearchRequest& b) {
  return a.positive.empty() && b.positive.empty() && a.filter.empty() && b.filter.empty() &&
         a.ids.empty() && b.ids.empty() && a.collection == b.collection && a.limit == b.limit &&
         a.nprobe == b.nprobe && a.rerank == b.rerank && a.exact == b.exact &&
         a.no_rerank == b.no_rerank && a.offset == b.offset &&
         a.score_threshold == b.score_threshold && !a.explain && !b.explain &&
         a.fields.payload == b.fields.payload && a.fields.vector == b.fields.vector &&
         a.vectors.type == b.vectors.type && a.vectors.dim == b.vectors.dim;
}

}  // namespace

// One Points.Search on its way: parsed, searched and answered on a worker's thread.
class SearchGatherer::Call final : public grpc::ServerUnaryReactor {
 public:
  Call(const ServiceEnv& env, const RawCall& raw) : env_(env), hold_(env.calls), raw_(raw) {}

  size_t request_bytes() const { return raw_.request->Valid() ? raw_.request->Length() : 0; }
  const SearchRequest& search() const { return search_; }
  size_t queries() const { return search_.vectors.rows; }

  // False, and answered, if nobody waits for the answer any more.
  bool StillWanted() {
    if (cancelled_.load(std::memory_order_relaxed)) {
      Answer(absl::CancelledError("the client has cancelled the call"));
      return false;
    }
    if (raw_.context->deadline() <= std::chrono::system_clock::now()) {
      Answer(absl::DeadlineExceededError("the deadline passed while the request was waiting"));
      return false;
    }
    return true;
  }

  // False, and answered, if there is nothing to search for.
  bool Parse(Engine& engine) {
    const absl::Status status = RunGuarded([&]() -> absl::Status {
      // gRPC keeps the buffer for this call alone: parsing may free it.
      RETURN_IF_ERROR(ParseRequest(const_cast<grpc::ByteBuffer*>(raw_.request), &request_));
      ASSIGN_OR_RETURN(search_, ParseSearch(engine, request_));
      return absl::OkStatus();
    });
    if (!status.ok()) Answer(status);
    return status.ok();
  }

  void RunAlone(Engine& engine) {
    absl::StatusOr<SearchResult> result = absl::InternalError("not run");
    const absl::Status status = RunGuarded([&] {
      result = engine.Search(search_);
      return result.status();
    });
    if (status.ok()) {
      Answer(*std::move(result));
    } else {
      Answer(status);
    }
  }

  void Answer(SearchResult&& result) {
    Answer(RunGuarded([&] { return SerializeSearch(std::move(result), raw_.response); }));
  }
  void Answer(const absl::Status& status) {
    env_.Note(raw_.method, status);
    Finish(ToGrpcStatus(status));  // may delete this
  }

 private:
  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

  const ServiceEnv& env_;
  const CallCounter::Hold hold_;
  const RawCall raw_;
  std::atomic<bool> cancelled_{false};
  v1::SearchRequest request_;
  SearchRequest search_;  // views request_
};

grpc::ServerUnaryReactor* SearchGatherer::Start(const RawCall& raw) {
  auto* call = new Call(env_, raw);
  const absl::StatusOr<Engine*> engine = env_.engine.Get();
  if (!engine.ok()) {
    call->Answer(engine.status());
    return call;
  }
  if (call->request_bytes() > limits::kGatheredSearchBytesMax) {
    const auto run = [call, engine = *engine] {
      if (call->StillWanted() && call->Parse(*engine)) call->RunAlone(*engine);
    };
    if (!env_.search_pool.Submit(call->request_bytes(), run)) call->Answer(ServerBusyError());
    return call;
  }
  if (!call->Parse(**engine)) return call;
  switch (Enter(**engine, call)) {
    case Turn::kHere:
      call->RunAlone(**engine);
      Leave();
      break;
    case Turn::kRefused:
      call->Answer(ServerBusyError());
      break;
    case Turn::kQueued:
      break;
  }
  return call;
}

SearchGatherer::Turn SearchGatherer::Enter(Engine& engine, Call* call) {
  const bool quick = engine.SearchIsQuick(call->search());
  absl::MutexLock lock(&mutex_);
  if (quick && !here_ && workers_ == 0) {
    here_ = true;
    return Turn::kHere;
  }
  if (waiting_.size() >= limits::kSearchQueueMax) return Turn::kRefused;
  // With a worker on its way, the call will be taken whether one more can be started or not.
  if (workers_ < env_.search_pool.threads() && !StartWorker(engine) && workers_ == 0) {
    return Turn::kRefused;
  }
  waiting_.push_back(call);
  return Turn::kQueued;
}

void SearchGatherer::Leave() {
  absl::MutexLock lock(&mutex_);
  here_ = false;
}

bool SearchGatherer::StartWorker(Engine& engine) {
  if (!env_.search_pool.Submit(0, [this, &engine] { RunWaiting(engine); })) return false;
  ++workers_;
  return true;
}

void SearchGatherer::RunWaiting(Engine& engine) {
  while (true) {
    std::vector<Call*> calls = TakeShare();
    if (calls.empty()) return;
    RunShare(engine, std::move(calls));
  }
}

// Nothing, and one worker less, if nothing waits.
std::vector<SearchGatherer::Call*> SearchGatherer::TakeShare() {
  absl::MutexLock lock(&mutex_);
  if (waiting_.empty()) --workers_;
  const size_t workers = env_.search_pool.threads();
  const size_t share =
      std::min((waiting_.size() + workers - 1) / workers, limits::kGatheredSearchesMax);
  std::vector<Call*> calls(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(share));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(share));
  return calls;
}

void SearchGatherer::RunShare(Engine& engine, std::vector<Call*> calls) {
  std::erase_if(calls, [](Call* call) { return !call->StillWanted(); });
  while (!calls.empty()) {
    // Those that run like the first go together.
    const Call* first = calls.front();
    size_t queries = 0;
    const auto rest = std::stable_partition(calls.begin(), calls.end(), [&](const Call* call) {
      const bool together =
          call == first || (RunAlike(call->search(), first->search()) &&
                            queries + call->queries() <= limits::kGatheredSearchesMax);
      if (together) queries += call->queries();
      return together;
    });
    std::vector<Call*> group(calls.begin(), rest);
    calls.erase(calls.begin(), rest);
    if (group.size() == 1) {
      group.front()->RunAlone(engine);
    } else {
      RunTogether(engine, std::move(group));
    }
  }
}

void SearchGatherer::RunTogether(Engine& engine, std::vector<Call*> calls) {
  absl::StatusOr<SearchResult> result = absl::InternalError("not run");
  const absl::Status status = RunGuarded([&] {
    SearchRequest merged = calls.front()->search();
    merged.vectors.rows = 0;
    for (const Call* call : calls) merged.vectors.rows += call->queries();
    std::vector<std::byte> queries(merged.vectors.rows * merged.vectors.row_bytes());
    std::byte* place = queries.data();
    for (const Call* call : calls) {
      const size_t bytes = call->queries() * merged.vectors.row_bytes();
      std::memcpy(place, call->search().vectors.data, bytes);
      place += bytes;
    }
    merged.vectors.data = queries.data();
    result = engine.Search(merged);
    return result.status();
  });
  if (!status.ok()) {
    // One of them may be at fault: apart, each gets its own answer.
    for (Call* call : calls) call->RunAlone(engine);
    return;
  }
  const size_t total = result->hits.size();
  auto hits = result->hits.begin();
  for (Call* call : calls) {
    const auto end = hits + static_cast<std::ptrdiff_t>(call->queries());
    SearchResult part;
    part.element_type = result->element_type;
    part.report = result->report;
    // Gathered searches have no filter: each query has scanned as many lists.
    part.report.lists_scanned = part.report.lists_scanned * call->queries() / total;
    part.hits.assign(std::make_move_iterator(hits), std::make_move_iterator(end));
    hits = end;
    call->Answer(std::move(part));
  }
}

}  // namespace tessera
