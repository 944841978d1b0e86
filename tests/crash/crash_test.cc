// kill -9 in the middle of everything: nothing that was acknowledged is lost, and what was not is
// there whole or not at all. A process that is killed leaves what it wrote with the kernel, so this
// shows that acknowledgements come after the write to the log and that recovery is right; that the
// log is synced as well is the store's own tests' matter.
#include <iostream>
#include <iterator>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/crash/crash_harness.h"
#include "tests/environment.h"
#include "tests/integration/requests.h"

namespace tessera {
namespace {

using Beside = CrashHarness::Beside;

// TESSERA_CRASH_SEED repeats a run as far as the scheduler allows; TESSERA_CRASH_CYCLES makes it
// longer.
class CrashTest : public testing::TestWithParam<v1::VectorPlacement> {
 protected:
  const uint64_t seed_ = FromEnvironment("TESSERA_CRASH_SEED", std::random_device()());
  const uint64_t cycles_ = FromEnvironment("TESSERA_CRASH_CYCLES", 50) / 2;
};

// Of ten cycles two are killed again while they recover.
void RunCycle(CrashHarness& harness, uint64_t cycle) {
  constexpr Beside kBesides[] = {Beside::kActivation, Beside::kTraining, Beside::kSnapshot,
                                 Beside::kRestore,    Beside::kSplit,    Beside::kCompaction,
                                 Beside::kDeletion,   Beside::kNothing};
  const bool recovery = cycle % 5 == 4;
  if (cycle % 10 == 2) {
    ASSERT_NO_FATAL_FAILURE(harness.TakeKnownSnapshot());
  }
  if (cycle % 10 == 8) {
    ASSERT_NO_FATAL_FAILURE(harness.RestoreInPlaceAndKill());
  }
  if (cycle % 5 == 2) harness.Drift();
  // Nothing is trained yet in the first.
  ASSERT_NO_FATAL_FAILURE(
      harness.WriteAndKill(cycle == 0 ? Beside::kNothing : kBesides[cycle % std::size(kBesides)]));
  if (recovery) {
    ASSERT_NO_FATAL_FAILURE(harness.KillDuringRecovery());
  }
  ASSERT_NO_FATAL_FAILURE(harness.Restart());
  ASSERT_NO_FATAL_FAILURE(harness.ExpectEverythingThere());
}

TEST_P(CrashTest, NoAcknowledgedWriteIsLost) {
  std::cout << "seed " << seed_ << std::endl;
  const absl::Time start = absl::Now();
  CrashHarness harness(seed_, GetParam());
  ASSERT_FALSE(HasFailure());
  for (uint64_t cycle = 0; cycle < cycles_; ++cycle) {
    SCOPED_TRACE(absl::StrCat("cycle ", cycle, ", seed ", seed_));
    ASSERT_NO_FATAL_FAILURE(RunCycle(harness, cycle));
    ASSERT_FALSE(HasFailure());
    // From here on writes are encoded as they come.
    if (cycle == 0) {
      ASSERT_NO_FATAL_FAILURE(harness.Train());
    }
  }
  ASSERT_NO_FATAL_FAILURE(harness.Stop());
  const CrashHarness::Met met = harness.met();
  std::cout << cycles_ << " cycles in " << absl::ToInt64Seconds(absl::Now() - start)
            << " s: " << met.requests_acknowledged
            << " requests acknowledged; of those in flight at a kill " << met.requests_kept
            << " were written and " << met.requests_lost << " were not (" << met.kept_repeated
            << " and " << met.lost_repeated << " sent again); killed " << met.trainings
            << " trainings, " << met.activations << " activations (" << met.switched
            << " codebooks were in use after all), " << met.snapshots << " snapshots, "
            << met.restores << " restores, " << met.restores_in_place << " restores in place, "
            << met.recoveries << " recoveries; " << met.settings_acknowledged
            << " changes of settings acknowledged; lists were split in " << met.splits
            << " cycles, and killed while they were in " << met.splits_killed << " ("
            << met.splits_resumed << " done after the restart), while they were compacted in "
            << met.compactions_killed << "; " << met.large_deletions
            << " large deletions, of which " << met.removals_killed << " were killed half removed"
            << std::endl;
  EXPECT_GT(met.trainings, 0u) << "no kill met a training";
  EXPECT_GT(met.activations, 0u) << "no kill met an activation of a codebook";
  EXPECT_GT(met.lost_repeated + met.kept_repeated, 0u) << "no request was sent again";
  EXPECT_GE(met.settings_acknowledged, cycles_) << "too few changes of settings";
  EXPECT_GT(met.snapshots, 0u) << "no kill met the making of a snapshot";
  EXPECT_GT(met.restores + met.restores_in_place, 0u) << "no kill met a restore";
  EXPECT_GE(met.recoveries, cycles_ / 5) << "too few kills met a recovery";
  EXPECT_GT(met.splits, 0u) << "no list was split";
  EXPECT_GT(met.splits_killed, 0u) << "no kill met a split of lists";
  EXPECT_GT(met.splits_resumed, 0u) << "no split went on after a restart";
  EXPECT_GT(met.compactions_killed, 0u) << "no kill met a compaction of lists";
  EXPECT_GT(met.removals_killed, 0u) << "no kill met the removal of deleted points";
  EXPECT_GT(met.checks_of_codebooks, 0u) << "no restart met a codebook";
  EXPECT_GT(met.requests_lost + met.requests_kept, 0u) << "no kill met a request in flight";
}

INSTANTIATE_TEST_SUITE_P(Placements, CrashTest, testing::Values(v1::MEMORY, v1::DISK, v1::DISK_SQ8),
                         [](const auto& info) { return v1::VectorPlacement_Name(info.param); });

}  // namespace
}  // namespace tessera
