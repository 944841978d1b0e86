#ifndef TESSERA_SERVER_ENGINE_WRITE_QUEUE_H_
#define TESSERA_SERVER_ENGINE_WRITE_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "index/codebook/codebook.h"
#include "server/engine/types.h"
#include "server/filter/index_changes.h"

namespace tessera {

// One mutation of a collection: validated, converted and encoded before it is queued.
struct PendingWrite {
  enum class Kind { kUpsert, kDelete };

  Kind kind = Kind::kUpsert;
  const std::vector<PointId>* ids = nullptr;
  const std::byte* vectors = nullptr;                  // of the collection's element type
  const std::byte* rows = nullptr;                     // what the slot table keeps of them
  const std::vector<std::string>* payloads = nullptr;  // as UpsertBatch has them
  EncodedVectors encoded;                              // under encoded_version, if it is not 0
  uint32_t encoded_version = 0;
  std::shared_ptr<const Codebook> encoded_with;  // of that version; null: none
  PayloadColumns columns;                        // what the payload indexes take
  // What must be so when the write has its turn. An upsert is refused whole if it is not, a delete
  // passes over the ids for which it is not.
  WriteCondition condition = WriteCondition::kNone;
  const std::vector<Slot>* expected_slots =
      nullptr;           // where the ids must be, kInvalidSlot: nowhere
  absl::Status refusal;  // not OK: the write has changed nothing, its group has gone on without it
  Durability durability = Durability::kSync;
  const std::string* request_id = nullptr;  // null: it has none
  uint32_t fingerprint = 0;                 // of what is asked for, if it has a request id
  uint64_t points_before = 0;               // of earlier writes for the same request
  WriteResult result;

  size_t size() const { return ids->size(); }
  bool adds_points() const { return kind == Kind::kUpsert && refusal.ok(); }
};

// Puts the writes of many threads into one order and lets one of the waiting threads at a time
// commit all that has gathered (group commit). Thread-safe.
class WriteQueue {
 public:
  // Commits a group, in its order: all of it or none.
  using CommitGroup = std::function<absl::Status(std::span<PendingWrite* const>)>;

  explicit WriteQueue(CommitGroup commit) : commit_(std::move(commit)) {}

  // Blocks until the write is committed or refused with its whole group.
  absl::Status Submit(PendingWrite& write) ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs `section` while no write is being committed.
  absl::Status RunExclusive(const std::function<absl::Status()>& section)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiter {
    PendingWrite* write = nullptr;  // null: an exclusive section
    bool done = false;
    absl::Status status;
    absl::CondVar woken;
  };

  static absl::Status RunTurn(const std::function<absl::Status()>& turn) noexcept;
  // Waits until `waiter` is first in the queue or done.
  void AwaitTurn(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeFirst() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CommitGroup commit_;
  absl::Mutex mutex_;
  std::deque<Waiter*> queue_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_WRITE_QUEUE_H_
