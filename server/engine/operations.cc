#include "server/engine/operations.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

constexpr char kRestore[] = "restore_snapshot";

int64_t NowMs() { return absl::ToUnixMillis(absl::Now()); }

}  // namespace

bool Operations::Context::OnProgress(const char* phase, size_t done, size_t total) {
  {
    absl::MutexLock lock(&owner_->mutex_);
    info_.phase = phase;
    info_.done = done;
    info_.total = total;
    ++info_.revision;
  }
  return !cancelled();
}

void Operations::Context::SetCodebookVersion(uint32_t version) {
  absl::MutexLock lock(&owner_->mutex_);
  info_.codebook_version = version;
  ++info_.revision;
}

void Operations::Context::SetSnapshot(const std::string& snapshot_id) {
  absl::MutexLock lock(&owner_->mutex_);
  info_.snapshot_id = snapshot_id;
  ++info_.revision;
}

std::shared_ptr<Operations::Entry> Operations::Find(const std::string& id) {
  for (const auto& entry : entries_) {
    if (entry->context.info_.id == id) return entry;
  }
  return nullptr;
}

std::shared_ptr<Operations::Entry> Operations::Running(const std::string& collection,
                                                       std::optional<Kind> kind) {
  for (const auto& entry : entries_) {
    const OperationInfo& info = entry->context.info_;
    if (info.state == OperationState::kRunning && info.collection == collection &&
        entry->kind == kind.value_or(entry->kind)) {
      return entry;
    }
  }
  return nullptr;
}

absl::StatusOr<OperationInfo> Operations::Start(std::string_view name,
                                                const std::string& collection, Work work,
                                                Kind kind) {
  absl::MutexLock lock(&mutex_);
  if (shut_down_) {
    return ErrorWithReason(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                           "the server is shutting down");
  }
  if (auto running = kind == Kind::kAlone ? Running(collection, kind) : nullptr) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "OPERATION_RUNNING",
                           absl::StrCat("operation ", running->context.info_.id,
                                        " is running on collection ", collection));
  }
  size_t running = 0;
  for (const auto& entry : entries_) {
    running += entry->context.info_.state == OperationState::kRunning;
  }
  if (running >= limits::kOperationsRunningMax) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, "TOO_MANY_OPERATIONS",
        absl::StrCat("at most ", limits::kOperationsRunningMax, " operations run at once"));
  }
  ForgetOldest();
  auto entry = std::make_shared<Entry>();
  OperationInfo& info = entry->context.info_;
  entry->context.owner_ = this;
  entry->kind = kind;
  // Operations do not outlive the process: the start time keeps ids of two runs apart.
  info.start_time_ms = NowMs();
  info.number = next_id_++;
  info.id = absl::StrCat(absl::Hex(info.start_time_ms), "-", info.number);
  info.kind = std::string(name);
  info.collection = collection;
  info.phase = "starting";
  info.revision = 1;
  entries_.push_back(entry);
  try {
    entry->thread = std::thread([this, raw = entry.get(), work = std::move(work)]() mutable {
      const absl::Status status = work(raw->context);
      work = nullptr;  // what it holds on to is free before anyone hears of the end
      Finish(*raw, status);
    });
  } catch (const std::system_error& error) {
    entries_.pop_back();
    return ErrorWithReason(absl::StatusCode::kResourceExhausted, "NO_THREAD",
                           absl::StrCat("no thread for the operation: ", error.what()));
  }
  return info;
}

void Operations::Finish(Entry& entry, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  OperationInfo& info = entry.context.info_;
  if (status.ok()) {
    info.state = OperationState::kSucceeded;
    info.phase = "done";
    info.total = std::max(info.total, info.done);
    info.done = info.total;
  } else if (absl::IsCancelled(status)) {
    info.state = OperationState::kCancelled;
  } else {
    info.state = OperationState::kFailed;
    info.error = status;
  }
  info.end_time_ms = NowMs();
  ++info.revision;
}

void Operations::ForgetOldest() {
  while (entries_.size() >= limits::kOperationsKeptMax) {
    auto oldest = entries_.begin();
    while (oldest != entries_.end() && (*oldest)->context.info_.state == OperationState::kRunning) {
      ++oldest;
    }
    if (oldest == entries_.end()) return;
    // Its work has returned: only the last lines of Finish may still run, on the mutex held here.
    if ((*oldest)->thread.joinable()) (*oldest)->thread.detach();
    entries_.erase(oldest);
  }
}

absl::StatusOr<OperationInfo> Operations::Get(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  auto entry = Find(id);
  if (entry == nullptr) return NotFound("operation", id);
  return entry->context.info_;
}

std::vector<OperationInfo> Operations::List(const std::string& collection) {
  absl::MutexLock lock(&mutex_);
  std::vector<OperationInfo> infos;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    const OperationInfo& info = (*entry)->context.info_;
    if (collection.empty() || info.collection == collection) infos.push_back(info);
  }
  return infos;
}

absl::StatusOr<OperationInfo> Operations::Await(const std::string& id, uint64_t after_revision,
                                                absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto entry = Find(id);
  if (entry == nullptr) return NotFound("operation", id);
  const auto moved = [&entry, after_revision] {
    return entry->context.info_.revision > after_revision;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&moved), timeout);
  return entry->context.info_;
}

absl::StatusOr<OperationInfo> Operations::Cancel(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  auto entry = Find(id);
  if (entry == nullptr) return NotFound("operation", id);
  entry->context.cancelled_.store(true, std::memory_order_relaxed);
  return entry->context.info_;
}

void Operations::CancelAndWait(const std::string& collection) {
  absl::MutexLock lock(&mutex_);
  while (auto entry = Running(collection, std::nullopt)) {
    entry->context.cancelled_.store(true, std::memory_order_relaxed);
    const auto ended = [&entry] { return entry->context.info_.state != OperationState::kRunning; };
    mutex_.Await(absl::Condition(&ended));
  }
}

bool Operations::IsTraining(const std::string& collection) {
  absl::MutexLock lock(&mutex_);
  const auto entry = Running(collection, Kind::kAlone);
  return entry != nullptr && entry->context.info_.kind != kRestore;
}

void Operations::Shutdown() {
  std::deque<std::shared_ptr<Entry>> entries;
  {
    absl::MutexLock lock(&mutex_);
    shut_down_ = true;
    entries = entries_;
  }
  for (const auto& entry : entries) {
    // First: who finds itself cancelled asks why.
    if (!entry->context.cancelled()) entry->context.shutting_down_.store(true);
    entry->context.cancelled_.store(true);
    if (entry->thread.joinable()) entry->thread.join();
  }
}

}  // namespace tessera
