#ifndef TESSERA_TESTS_SERVER_STORAGE_FAULTY_ENV_H_
#define TESSERA_TESTS_SERVER_STORAGE_FAULTY_ENV_H_

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tessera {

enum class Fault {
  kNone,
  kFailOnce,        // the n-th operation fails, the ones after it succeed
  kNoSpaceOnce,     // the n-th operation finds the disk full, the ones after it do not
  kShortWriteOnce,  // the n-th operation, if it is a write, writes half and fails
  kReadOnce,        // the n-th read fails; only reads are counted
  kFailFrom,        // the n-th operation and all after it fail
  kPowerCut,  // at the n-th operation everything that was not synced is lost, and the process ends
  kPowerCutPart,  // the same, but of what was not synced a random part is kept
};

// What the fault tests call them: eio (once), from (on), enospc, short, read, power, power-part,
// none.
Fault ParseFault(std::string_view name);

// What has been written through an env, and the fault that is to happen. Thread-safe.
class FaultState {
 public:
  FaultState(Fault fault, uint64_t at) : fault_(fault), at_(at) {}

  // Every operation that changes the disk asks first, and holds the state while it runs.
  class Turn {
   public:
    explicit Turn(FaultState& state) : state_(state), lock_(&state.mutex_), fails_(state.Next()) {}
    bool fails() const { return fails_; }
    // What it fails with.
    rocksdb::IOStatus error() const;
    // Whether half of a write is to reach the disk all the same.
    bool writes_half() const { return fails_ && state_.fault_ == Fault::kShortWriteOnce; }
    FaultState& state() { return state_; }

   private:
    FaultState& state_;
    absl::MutexLock lock_;
    const bool fails_;
  };

  // Every read asks too.
  bool ReadFails();

  // Of a file in a Turn: how much of it is there, and how much of that would survive.
  struct File {
    uint64_t size = 0;
    uint64_t synced_size = 0;
    bool entry_synced = false;  // its name in the directory
    uint64_t named = 0;         // when it got that name: see Name
  };
  // What was under a name before it was given to another file, and when that was.
  struct Replaced {
    std::string content;
    uint64_t named = 0;
  };
  std::map<std::string, File>& files() { return files_; }
  // What was under the names of files that have been renamed since the directory was synced.
  std::map<std::string, Replaced>& replaced() { return replaced_; }
  // A name is given: how many have been, itself included.
  uint64_t Name() { return ++names_; }

  bool fired() const;

 private:
  bool Next();
  [[noreturn]] void CutPower(bool keeps_part);

  const Fault fault_;
  const uint64_t at_;
  mutable absl::Mutex mutex_;
  uint64_t operations_ = 0;
  std::map<std::string, File> files_;
  std::map<std::string, Replaced> replaced_;
  uint64_t names_ = 0;
};

// An env on the real file system with the faults of `state`, which must outlive it.
std::unique_ptr<rocksdb::Env> MakeFaultyEnv(FaultState& state);

// The exit code of a process that lost its power.
inline constexpr int kPowerCutExitCode = 9;

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_STORAGE_FAULTY_ENV_H_
