#include "server/rpc/search_gatherer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <iterator>
#include <utility>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_points.h"
#include "server/rpc/points_handlers.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/rpc_status.h"
#include "tessera/v1/points.pb.h"

namespace tessera {
namespace {

// Quick searches that a polling thread runs before it looks again for what has arrived.
constexpr size_t kQuickInTurn = 16;

// Whether two searches may run as one: the answers are then the same as apart.
bool RunAlike(const SearchRequest& a, const SearchRequest& b) {
  return a.positive.empty() && b.positive.empty() && a.filter.empty() && b.filter.empty() &&
         a.ids.empty() && b.ids.empty() && a.collection == b.collection && a.limit == b.limit &&
         a.nprobe == b.nprobe && a.rerank == b.rerank && a.exact == b.exact &&
         a.no_rerank == b.no_rerank && a.target_recall == b.target_recall && a.offset == b.offset &&
         a.score_threshold == b.score_threshold && !a.explain && !b.explain &&
         a.with_bounds == b.with_bounds && a.fields.payload == b.fields.payload &&
         a.fields.vector == b.fields.vector && a.vectors.type == b.vectors.type &&
         a.vectors.dim == b.vectors.dim;
}

size_t QueriesOf(const PendingSearch* search) { return search->search().vectors.rows; }

absl::StatusOr<SearchResult> Guarded(const std::function<absl::StatusOr<SearchResult>()>& search) {
  absl::StatusOr<SearchResult> result = absl::InternalError("not run");
  RETURN_IF_ERROR(RunGuarded([&] {
    result = search();
    return result.status();
  }));
  return result;
}

void Answer(PendingSearch* search, absl::StatusOr<SearchResult> result) {
  if (result.ok()) {
    search->Answer(*std::move(result));
  } else {
    search->Answer(result.status());
  }
}

void RunAlone(Engine& engine, PendingSearch* search) {
  Answer(search, Guarded([&] { return engine.Search(search->search()); }));
}

// False, and not answered, if it would have to wait for the disk.
bool RunWithoutWaiting(Engine& engine, PendingSearch* search) {
  absl::StatusOr<SearchResult> result = Guarded([&] {
    SearchRequest request = search->search();
    request.may_wait = false;
    return engine.Search(request);
  });
  if (MustWait(result.status())) return false;
  Answer(search, std::move(result));
  return true;
}

// The queries of all as those of one search.
absl::StatusOr<SearchResult> SearchAsOne(Engine& engine,
                                         const std::vector<PendingSearch*>& searches) {
  SearchRequest merged = searches.front()->search();
  merged.vectors.rows = 0;
  for (const PendingSearch* search : searches) merged.vectors.rows += QueriesOf(search);
  std::vector<std::byte> queries(merged.vectors.rows * merged.vectors.row_bytes());
  std::byte* place = queries.data();
  for (const PendingSearch* search : searches) {
    const size_t bytes = QueriesOf(search) * merged.vectors.row_bytes();
    std::memcpy(place, search->search().vectors.data, bytes);
    place += bytes;
  }
  merged.vectors.data = queries.data();
  return engine.Search(merged);
}

}  // namespace

// One Points.Search on its way.
class SearchGatherer::Call final : public grpc::ServerUnaryReactor, public PendingSearch {
 public:
  Call(SearchGatherer& gatherer, const RawCall& raw)
      : gatherer_(gatherer), env_(gatherer.env_), hold_(env_.calls), raw_(raw) {
    gatherer_.calls_.fetch_add(1, std::memory_order_relaxed);
  }
  ~Call() override { gatherer_.calls_.fetch_sub(1, std::memory_order_relaxed); }

  size_t request_bytes() const override {
    return raw_.request->Valid() ? raw_.request->Length() : 0;
  }
  const SearchRequest& search() const override { return search_; }

  bool StillWanted() override {
    if (cancelled_.load(std::memory_order_relaxed)) {
      Answer(CallCancelled());
      return false;
    }
    if (raw_.context->deadline() <= std::chrono::system_clock::now()) {
      Answer(absl::DeadlineExceededError("the deadline passed while the request was waiting"));
      return false;
    }
    return true;
  }

  bool Parse(Engine& engine) override {
    const absl::Status status = RunGuarded([&]() -> absl::Status {
      // gRPC keeps the buffer for this call alone: parsing may free it.
      RETURN_IF_ERROR(ParseRequest(const_cast<grpc::ByteBuffer*>(raw_.request), &request_));
      ASSIGN_OR_RETURN(search_, ParseSearch(engine, request_));
      return absl::OkStatus();
    });
    if (!status.ok()) Answer(status);
    return status.ok();
  }

  void Answer(SearchResult&& result) override {
    Answer(RunGuarded([&] { return SerializeSearch(std::move(result), raw_.response); }));
  }
  void Answer(const absl::Status& status) override {
    env_.NoteEnd(raw_.method, hold_, status);
    Finish(ToGrpcStatus(status));  // may delete this
  }

 private:
  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }
  bool InternalInlineable() override { return true; }  // as in unary_call.h

  SearchGatherer& gatherer_;
  const ServiceEnv& env_;
  const CallCounter::Hold hold_;
  const RawCall raw_;
  std::atomic<bool> cancelled_{false};
  v1::SearchRequest request_;
  SearchRequest search_;  // views request_
};

SearchGatherer::SearchGatherer(const ServiceEnv& env) : env_(env), turn_([this] { RunQuick(); }) {}

grpc::ServerUnaryReactor* SearchGatherer::Start(const RawCall& raw) {
  auto* call = new Call(*this, raw);
  const absl::StatusOr<Engine*> engine = env_.Admit(raw.method, *raw.context);
  if (!engine.ok()) {
    call->Answer(engine.status());
    return call;
  }
  if (!IsSmall(*call)) {
    if (!RunLarge(**engine, call)) call->Answer(ServerBusyError());
  } else if (call->Parse(**engine)) {
    Run(**engine, call, calls_.load(std::memory_order_relaxed) == 1);
  }
  return call;
}

bool SearchGatherer::IsSmall(const PendingSearch& search) {
  return search.request_bytes() <= limits::kGatheredSearchBytesMax;
}

bool SearchGatherer::RunLarge(Engine& engine, PendingSearch* search) {
  return env_.search_pool.Submit(search->request_bytes(), [search, &engine] {
    if (search->StillWanted() && search->Parse(engine)) RunAlone(engine, search);
  });
}

void SearchGatherer::Run(Engine& engine, PendingSearch* search, bool alone) {
  switch (Enter(engine, search, alone)) {
    case Fate::kRunHere:
      RunAlone(engine, search);
      break;
    case Fate::kTryHere:
      if (!RunWithoutWaiting(engine, search) && !Enqueue(engine, search)) {
        search->Answer(ServerBusyError());
      }
      break;
    case Fate::kAskForTurn:
      turn_.Ask();
      break;
    case Fate::kRefused:
      search->Answer(ServerBusyError());
      break;
    case Fate::kQueued:
      break;
  }
}

SearchGatherer::Fate SearchGatherer::Enter(Engine& engine, PendingSearch* search, bool alone) {
  const SearchPace pace = engine.PaceOf(search->search());
  absl::MutexLock lock(&mutex_);
  if (alone && quick_.empty() && pace == SearchPace::kQuick) return Fate::kRunHere;
  // Workers share the time that page cache and disk take; a lone search has nobody to share with.
  if (alone && quick_.empty() && pace == SearchPace::kQuickIfCached) return Fate::kTryHere;
  if (pace == SearchPace::kQuick) {
    if (IsFull()) return Fate::kRefused;
    quick_.push_back(search);
    if (std::exchange(turn_asked_, true)) return Fate::kQueued;
    quick_engine_ = &engine;
    quick_when_asked_ = quick_.size();
    return Fate::kAskForTurn;
  }
  return EnqueueLocked(engine, search) ? Fate::kQueued : Fate::kRefused;
}

bool SearchGatherer::IsFull() const {
  return waiting_.size() + quick_.size() >= limits::kSearchQueueMax;
}

bool SearchGatherer::Enqueue(Engine& engine, PendingSearch* search) {
  absl::MutexLock lock(&mutex_);
  return EnqueueLocked(engine, search);
}

bool SearchGatherer::EnqueueLocked(Engine& engine, PendingSearch* search) {
  if (IsFull()) return false;
  // With a worker on its way, the search will be taken whether one more can be started or not.
  if (workers_ < env_.search_pool.threads() && !StartWorker(engine) && workers_ == 0) return false;
  waiting_.push_back(search);
  return true;
}

void SearchGatherer::RunQuick() {
  std::vector<PendingSearch*> searches;
  Engine* engine = nullptr;
  bool ask = false;
  {
    absl::MutexLock lock(&mutex_);
    engine = quick_engine_;
    // Once more have been received, still more may be there: a stream's come one after the other.
    if (quick_.size() <= quick_when_asked_ || quick_.size() >= kQuickInTurn) {
      const size_t count = std::min(quick_.size(), kQuickInTurn);
      const auto end = quick_.begin() + static_cast<std::ptrdiff_t>(count);
      searches.assign(quick_.begin(), end);
      quick_.erase(quick_.begin(), end);
      HandOver(*engine);
    }
    ask = turn_asked_ = !quick_.empty();
    quick_when_asked_ = quick_.size();
  }
  if (ask) turn_.Ask();
  RunShare(*engine, std::move(searches));
}

// What is too much for a turn goes to workers, if there are any.
void SearchGatherer::HandOver(Engine& engine) {
  const size_t wanted = (quick_.size() + kQuickInTurn - 1) / kQuickInTurn;
  const size_t workers_max = std::min(wanted, env_.search_pool.threads());
  while (workers_ < workers_max && StartWorker(engine)) {
  }
  if (workers_ == 0) return;
  waiting_.insert(waiting_.end(), quick_.begin(), quick_.end());
  quick_.clear();
}

bool SearchGatherer::StartWorker(Engine& engine) {
  if (!SubmitTurn(engine)) return false;
  ++workers_;
  return true;
}

bool SearchGatherer::SubmitTurn(Engine& engine) {
  return env_.search_pool.Submit(0, [this, &engine] { RunWaiting(engine); });
}

void SearchGatherer::RunWaiting(Engine& engine) {
  do {
    RunShare(engine, TakeShare());
  } while (!EndTurn(engine));
}

// A worker that stayed for as long as searches wait would hold its thread while they keep coming,
// and the reads in the pool's queue would get none.
bool SearchGatherer::EndTurn(Engine& engine) {
  absl::MutexLock lock(&mutex_);
  if (!waiting_.empty()) return SubmitTurn(engine);
  --workers_;
  return true;
}

std::vector<PendingSearch*> SearchGatherer::TakeShare() {
  absl::MutexLock lock(&mutex_);
  const size_t workers = env_.search_pool.threads();
  const size_t share = (waiting_.size() + workers - 1) / workers;
  std::vector<PendingSearch*> searches;
  // What could not run as one anyway is left to whoever is free first.
  for (size_t queries = 0; searches.size() < share && queries < limits::kGatheredSearchesMax;) {
    queries += QueriesOf(waiting_.front());
    searches.push_back(waiting_.front());
    waiting_.pop_front();
  }
  return searches;
}

void SearchGatherer::RunShare(Engine& engine, std::vector<PendingSearch*> searches) {
  for (;;) {
    // Of those that waited for the ones before, too.
    std::erase_if(searches, [](PendingSearch* search) { return !search->StillWanted(); });
    if (searches.empty()) return;
    // Those that run like the first go together.
    const PendingSearch* first = searches.front();
    size_t queries = 0;
    const auto rest =
        std::stable_partition(searches.begin(), searches.end(), [&](const PendingSearch* search) {
          const bool together =
              search == first || (RunAlike(search->search(), first->search()) &&
                                  queries + QueriesOf(search) <= limits::kGatheredSearchesMax);
          if (together) queries += QueriesOf(search);
          return together;
        });
    std::vector<PendingSearch*> group(searches.begin(), rest);
    searches.erase(searches.begin(), rest);
    if (group.size() == 1) {
      RunAlone(engine, group.front());
    } else {
      RunTogether(engine, std::move(group));
    }
  }
}

void SearchGatherer::RunTogether(Engine& engine, std::vector<PendingSearch*> searches) {
  absl::StatusOr<SearchResult> result = Guarded([&] { return SearchAsOne(engine, searches); });
  if (!result.ok()) {
    // One of them may be at fault: apart, each gets its own answer.
    for (PendingSearch* search : searches) RunAlone(engine, search);
    return;
  }
  const size_t total = result->hits.size();
  auto hits = result->hits.begin();
  for (PendingSearch* search : searches) {
    const auto end = hits + static_cast<std::ptrdiff_t>(QueriesOf(search));
    SearchResult part;
    part.element_type = result->element_type;
    part.report = result->report;
    // How many lists each query has gone through is not kept: all are told the mean.
    part.report.lists_scanned = part.report.lists_scanned * QueriesOf(search) / total;
    part.hits.assign(std::make_move_iterator(hits), std::make_move_iterator(end));
    hits = end;
    search->Answer(std::move(part));
  }
}

}  // namespace tessera
