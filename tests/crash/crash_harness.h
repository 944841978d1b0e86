#ifndef TESSERA_TESTS_CRASH_CRASH_HARNESS_H_
#define TESSERA_TESTS_CRASH_CRASH_HARNESS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/crash/crash_writer.h"
#include "tests/crash/settings_writer.h"
#include "tests/integration/server_process.h"

namespace tessera {

// A server that is killed, again and again, under writers and beside long work, and what must be
// there afterwards. Checks are gtest's: look at HasFatalFailure after each call. Not thread-safe.
class CrashHarness {
 public:
  // What runs beside the writers when the server is killed.
  enum class Beside {
    kNothing,
    kTraining,
    kActivation,
    kSnapshot,
    kRestore,
    kSplit,       // of lists that have grown long
    kCompaction,  // of lists that dead entries have gathered in
    kDeletion,    // of many points by filter, and the removal of their records
  };

  // Starts a server and makes the collection.
  CrashHarness(uint64_t seed, v1::VectorPlacement placement);

  // Lets the writers write, starts the other work, kills the server under all of it. What is on
  // the disk then is whole.
  void WriteAndKill(Beside beside);
  // Kills the server a few times while it starts.
  void KillDuringRecovery();
  // Restores the known snapshot in the place of the collection and kills the server meanwhile:
  // afterwards either state is there, whole. Starts it again.
  void RestoreInPlaceAndKill();
  void Restart();
  // Lets one of the writers write points unlike those before: soon lists have to be split.
  void Drift() { writers_[0]->MoveOn(); }

  // Everything that was acknowledged is there, scroll, get, count and searches agree on it, and so
  // do what a restore and a creation of a snapshot left.
  void ExpectEverythingThere();
  // Makes the snapshot that later cycles restore.
  void TakeKnownSnapshot();
  void Train();
  // A clean end.
  void Stop();

  // What the kills met, for the guard against cycles that show nothing.
  struct Met {
    size_t trainings = 0;
    size_t activations = 0;
    size_t switched = 0;  // trainings and activations whose codebook was in use after the kill
    size_t snapshots = 0;
    size_t restores = 0;
    size_t restores_in_place = 0;
    size_t recoveries = 0;
    size_t checks_of_codebooks = 0;
    size_t requests_acknowledged = 0;
    size_t requests_lost = 0;  // in flight at a kill, and not applied
    size_t requests_kept = 0;  // in flight at a kill, but applied
    size_t lost_repeated = 0;  // of both, those sent again with their ids
    size_t kept_repeated = 0;
    size_t settings_acknowledged = 0;
    size_t splits = 0;  // cycles in which centroids of the codebook in use moved
    size_t splits_killed = 0;
    size_t splits_resumed = 0;  // of those, the ones that were done after the restart
    size_t compactions_killed = 0;
    size_t large_deletions = 0;  // by filter, that were sent
    size_t removals_killed = 0;  // kills that left records of such a deletion to the next start
  };
  Met met() const;

 private:
  void Start(bool wait);
  Client& client() { return server_->client(); }
  uint64_t Random(uint64_t below) { return random_() % below; }
  absl::StatusOr<v1::Operation> StartBeside(Beside beside);
  absl::StatusOr<v1::Operation> StartCodebookChange(bool train);
  // Whether the lists ask for that work, which is then under way: nobody is told of it.
  bool ListsAskFor(Beside beside);
  // Waits for such a moment; whether it is still one.
  bool AwaitListWork(Beside beside);
  void ExpectSplitGoesOn();
  // Sleeps for a random part of `longest`; whether the operation still runs then.
  bool SleepBeside(const absl::StatusOr<v1::Operation>& operation, bool met_before,
                   absl::Duration longest);
  bool HoldsExactly(const std::vector<PointVersions>& expected,
                    std::map<std::string, v1::Point> stored) const;
  void ExpectOneCodebook(const v1::Collection& collection);
  void ExpectGetFindsThem();
  void ExpectSearchFindsThem(const v1::Collection& collection);
  void ExpectSnapshotsWhole();
  void ExpectCopyWholeOrAbsent();

  std::mt19937_64 random_;
  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  std::vector<std::unique_ptr<CrashWriter>> writers_;
  SettingsWriter settings_;
  std::string snapshot_id_;                     // the known one
  std::vector<PointVersions> snapshot_points_;  // what is in it, writer by writer
  std::string snapshot_metadata_;
  // Of the change of codebooks that the last kill met, if it met one: in use before, and after it.
  uint32_t codebook_before_ = 0;
  uint32_t codebook_after_ = 0;
  bool codebook_trained_ = false;  // else activated
  bool split_killed_ = false;      // by the last kill
  // What was in use after the kill before, and its content, which moves when lists are split.
  uint32_t codebook_version_ = 0;
  std::string codebook_hash_;
  Met met_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_CRASH_CRASH_HARNESS_H_
