#include "server/engine/operations.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <memory>
#include <thread>

#include "index/base/limits.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

OperationInfo AwaitEnd(Operations& operations, OperationInfo info) {
  while (info.state == OperationState::kRunning) {
    info = *operations.Await(info.id, info.revision, absl::Seconds(5));
  }
  return info;
}

absl::Status UntilCancelled(Operations::Context& context) {
  while (context.OnProgress("waiting", 0, 0)) absl::SleepFor(absl::Milliseconds(1));
  return absl::CancelledError("asked to stop");
}

TEST(Operations, RunsAndReports) {
  Operations operations;
  auto started = operations.Start("train", "c", [](Operations::Context& context) {
    context.OnProgress("working", 3, 4);
    context.SetCodebookVersion(7);
    return absl::OkStatus();
  });
  ASSERT_TRUE(started.ok());
  const OperationInfo ended = AwaitEnd(operations, *started);
  EXPECT_EQ(ended.state, OperationState::kSucceeded);
  EXPECT_EQ(ended.codebook_version, 7u);
  EXPECT_EQ(ended.done, 4u) << "all of what there was to do";
  EXPECT_EQ(ended.total, 4u);
  EXPECT_GE(ended.end_time_ms, ended.start_time_ms);
  EXPECT_EQ(operations.List("c").size(), 1u);
  EXPECT_TRUE(operations.List("other").empty());
}

TEST(Operations, KeepsTheErrorOfFailedWork) {
  Operations operations;
  auto started = operations.Start(
      "train", "c", [](Operations::Context&) { return absl::DataLossError("broken"); });
  const OperationInfo ended = AwaitEnd(operations, *started);
  EXPECT_EQ(ended.state, OperationState::kFailed);
  EXPECT_EQ(ended.error.message(), "broken");
}

// Nothing is left of an operation that has no thread.
TEST(Operations, WithoutAThreadThereIsNoOperation) {
  Operations operations;
  pthread_attr_t usual, huge;
  ASSERT_EQ(pthread_getattr_default_np(&usual), 0);
  pthread_attr_init(&huge);
  ASSERT_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 46), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  const auto refused = operations.Start("train", "c", UntilCancelled);
  ASSERT_EQ(pthread_setattr_default_np(&usual), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_EQ(GetStatusDetails(refused.status()).reason, "NO_THREAD");
  EXPECT_TRUE(operations.List("c").empty());
  operations.CancelAndWait("c");
  EXPECT_TRUE(operations.Start("train", "c", UntilCancelled).ok());
}

TEST(Operations, OneAtATimePerCollectionAndCancelEndsIt) {
  Operations operations;
  auto started = operations.Start("train", "c", UntilCancelled);
  ASSERT_TRUE(started.ok());
  EXPECT_EQ(GetStatusDetails(operations.Start("train", "c", UntilCancelled).status()).reason,
            "OPERATION_RUNNING");
  EXPECT_TRUE(operations.IsTraining("c"));
  operations.CancelAndWait("c");
  EXPECT_FALSE(operations.IsTraining("c"));
  EXPECT_EQ(operations.Get(started->id)->state, OperationState::kCancelled);
  EXPECT_TRUE(absl::IsNotFound(operations.Get("nope").status()));
}

TEST(Operations, WorkThatOnlyReadsRunsBesideOthers) {
  Operations operations;
  auto reading =
      operations.Start("verify_snapshot", "c", UntilCancelled, Operations::Kind::kBeside);
  ASSERT_TRUE(reading.ok());
  EXPECT_FALSE(operations.IsTraining("c"));
  auto training = operations.Start("train", "c", UntilCancelled);
  ASSERT_TRUE(training.ok()) << training.status();
  EXPECT_TRUE(
      operations.Start("verify_snapshot", "c", UntilCancelled, Operations::Kind::kBeside).ok());
  operations.CancelAndWait("c");
  EXPECT_EQ(operations.Get(training->id)->state, OperationState::kCancelled);
  EXPECT_EQ(operations.Get(reading->id)->state, OperationState::kCancelled);
}

// What the work holds on to (a snapshot in use) is free when its end is known.
TEST(Operations, WorkIsGoneBeforeItsEndIsTold) {
  Operations operations;
  for (int i = 0; i < 100; ++i) {
    auto held = std::make_shared<int>(0);
    const std::weak_ptr<int> watch = held;
    auto started = operations.Start(
        "train", "c", [held = std::move(held)](Operations::Context&) { return absl::OkStatus(); });
    AwaitEnd(operations, *started);
    EXPECT_TRUE(watch.expired());
  }
}

TEST(Operations, BoundsWhatRunsAndShutdownEndsAll) {
  Operations operations;
  for (size_t i = 0; i < limits::kOperationsRunningMax; ++i) {
    ASSERT_TRUE(operations.Start("train", std::to_string(i), UntilCancelled).ok());
  }
  EXPECT_TRUE(
      absl::IsResourceExhausted(operations.Start("train", "more", UntilCancelled).status()));
  operations.Shutdown();
  for (const OperationInfo& info : operations.List("")) {
    EXPECT_EQ(info.state, OperationState::kCancelled);
  }
  EXPECT_TRUE(absl::IsUnavailable(operations.Start("train", "c", UntilCancelled).status()));
}

}  // namespace
}  // namespace tessera
