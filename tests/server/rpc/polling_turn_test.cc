#include "server/rpc/polling_turn.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace tessera {
namespace {

TEST(PollingTurnTest, RunsEachTimeThatItIsAskedFor) {
  std::atomic<int> runs{0};
  absl::Notification enough;
  PollingTurn* self = nullptr;
  PollingTurn turn([&] {
    if (++runs == 100) {
      enough.Notify();
    } else {
      self->Ask();
    }
  });
  self = &turn;
  turn.Ask();
  enough.WaitForNotification();
  EXPECT_EQ(runs, 100);
}

TEST(PollingTurnTest, TheEndWaitsForTheTurn) {
  std::atomic<bool> over{false};
  {
    absl::Notification begun;
    PollingTurn turn([&] {
      begun.Notify();
      absl::SleepFor(absl::Milliseconds(50));
      over = true;
    });
    turn.Ask();
    begun.WaitForNotification();
  }
  EXPECT_TRUE(over);
}

TEST(PollingTurnTest, NeedNotBeAskedFor) {
  const PollingTurn turn([] { FAIL() << "nobody asked"; });
}

}  // namespace
}  // namespace tessera
