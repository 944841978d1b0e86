// What a start tells of how far it has come.
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class EngineRecovery : public EngineFixture {
 protected:
  void SetUp() override {
    engine_options_.log = [this](std::string_view message) { log_.emplace_back(message); };
    EngineFixture::SetUp();
  }

  std::vector<std::string> log_;
};

TEST_F(EngineRecovery, TellsHowManyRecordsItHasRead) {
  Create("c", 4);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(3'000, 4, 1)).ok());
  engine_options_.recovery_log_period = absl::ZeroDuration();
  Reopen();
  EXPECT_THAT(log_, Contains(HasSubstr("recovering collection c: 1024 records read")));
  EXPECT_THAT(log_, Contains(HasSubstr("recovering collection c: 2048 records read")));
  EXPECT_THAT(log_, Contains(HasSubstr("recovered collection c: 3000 points")));
}

TEST_F(EngineRecovery, AQuickOneSaysOnlyThatItIsDone) {
  Create("c", 4);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(3'000, 4, 1)).ok());
  engine_options_.recovery_log_period = absl::Hours(1);
  Reopen();
  EXPECT_THAT(log_, Not(Contains(HasSubstr("recovering collection"))));
}

// Each run between two starts deletes too few points for a compaction.
TEST_F(EngineRecovery, SpaceOfPointsDeletedBeforeARestartComesBack) {
  engine_options_.quiet_before_compaction = absl::Seconds(1);
  constexpr size_t kPoints = 4'000;
  constexpr uint64_t kDeletedEachTime = 900;
  Create("c", 64);
  ASSERT_TRUE(UpsertRows("c", 0, ClusteredRows(kPoints, 64, 1)).ok());
  Reopen();
  const auto disk_bytes = [&] { return engine_->GetCollection("c")->disk_bytes; };
  const uint64_t full = disk_bytes();
  for (uint64_t begin : {uint64_t{0}, kDeletedEachTime}) {
    std::vector<PointId> ids;
    for (uint64_t i = 0; i < kDeletedEachTime; ++i) ids.emplace_back(begin + i);
    ASSERT_TRUE(engine_->DeletePoints("c", ids, {}).ok());
    Reopen();
  }
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (disk_bytes() > full * 3 / 4 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_LE(disk_bytes(), full * 3 / 4);
}

}  // namespace
}  // namespace tessera
