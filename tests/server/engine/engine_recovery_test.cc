// What a start tells of how far it has come.
#include <string>
#include <vector>

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

}  // namespace
}  // namespace tessera
