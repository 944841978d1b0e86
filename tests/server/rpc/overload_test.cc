// What the server does with more than it can do, and with calls that run when it is to stop.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr int kDimension = 4;

// One search thread, whose reads of points wait at a gate.
class OverloadTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    ServeThroughGate(gate_);
    Create("words", kDimension);
    v1::UpsertResponse written;
    ASSERT_TRUE(
        Call(*points_, &v1::Points::Stub::Upsert, Points("words", 1, 5, kDimension), &written)
            .ok());
    request_.set_collection_name("words");
    request_.mutable_ids()->add_num(1);
    request_.mutable_with_payload()->set_enable(true);
    base_ = gate_.arrived();
  }

  // Gets a point, which has to pass the gate.
  grpc::Status Get(absl::Duration deadline = absl::Minutes(2)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    v1::GetPointsResponse response;
    const grpc::Status status = points_->Get(&context, request_, &response);
    if (status.ok()) {
      EXPECT_EQ(response.points_size(), 1);
    }
    return status;
  }

  // Calls that end without an answer. Returns when the server has heard of it too.
  static void AwaitEnd(std::vector<std::thread>& callers) {
    for (std::thread& caller : callers) caller.join();
    absl::SleepFor(absl::Milliseconds(500));
  }

  Gate gate_;
  int base_ = 0;  // who came to the gate before the test
  v1::GetPointsRequest request_;
};

// Over several connections, because each has a limit of its own.
constexpr int kConnections = 15;
constexpr int kCallsEach = 90;
constexpr int kCalls = kConnections * kCallsEach;
// One of all is with the thread.
constexpr int kQueued = static_cast<int>(limits::kSearchQueueMax);
static_assert(kCallsEach <= static_cast<int>(limits::kStreamsPerConnectionMax));
static_assert(kCalls > kQueued);

// Many calls of Get beside one that is held up at the gate: the queue is full.
class FullQueueTest : public OverloadTest {
 protected:
  void SetUp() override {
    OverloadTest::SetUp();
    gate_.Close();
    first_ = std::thread([&] { EXPECT_TRUE(Get().ok()); });
    gate_.AwaitArrived(base_ + 1);
    for (int c = 0; c < kConnections; ++c) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(v1::Points::NewStub(
          grpc::CreateCustomChannel(Address(), grpc::InsecureChannelCredentials(), arguments)));
      for (int i = 0; i < kCallsEach; ++i) {
        Pending& call = calls_[static_cast<size_t>(c * kCallsEach + i)];
        stubs_.back()->async()->Get(&call.context, &request_, &call.response, [&](grpc::Status s) {
          const CallError error(s);
          const bool busy = error.code == grpc::StatusCode::RESOURCE_EXHAUSTED &&
                            error.reason == "SERVER_BUSY" && error.retry;
          ++(s.ok() ? served_ : busy ? refused_ : other_);
        });
      }
    }
    // The queue is full and nothing is served, and yet these are answered.
    while (refused_ + other_ < kCalls - kQueued) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(served_, 0);
  }

  void OpenGate() {
    gate_.Open();
    first_.join();
    while (served_ + refused_ + other_ < kCalls) absl::SleepFor(absl::Milliseconds(1));
  }

  struct Pending {
    grpc::ClientContext context;
    v1::GetPointsResponse response;
  };
  std::atomic<int> served_{0}, refused_{0}, other_{0};
  std::vector<Pending> calls_ = std::vector<Pending>(kCalls);
  std::vector<std::unique_ptr<v1::Points::Stub>> stubs_;
  std::thread first_;
};

TEST_F(FullQueueTest, WhatDoesNotFitIsRefusedAtOnce) {
  v1::GetCollectionRequest get;
  get.set_collection_name("words");
  v1::Collection info;
  EXPECT_TRUE(Call(*collections_, &v1::Collections::Stub::Get, get, &info).ok());
  v1::UpsertResponse written;
  EXPECT_TRUE(
      Call(*points_, &v1::Points::Stub::Upsert, Points("words", 50, 1, kDimension), &written).ok());
  OpenGate();
  EXPECT_EQ(other_, 0);
  EXPECT_EQ(refused_, kCalls - kQueued);
  EXPECT_EQ(served_, kQueued);
}

TEST_F(FullQueueTest, ALargeSearchThatIsRefusedHasItsTagAndLeavesItsCollection) {
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  v1::SearchStreamRequest request;
  request.mutable_search()->set_collection_name("words");
  request.mutable_search()->set_limit(1);
  const auto write_large = [&](uint64_t tag) {
    request.set_tag(tag);
    request.mutable_search()->mutable_vectors()->mutable_values()->Resize(kDimension * 9'000, 1);
    ASSERT_GT(request.ByteSizeLong(), limits::kGatheredSearchBytesMax);
    ASSERT_TRUE(stream->Write(request));
    request.mutable_search()->clear_collection_name();
  };
  v1::SearchStreamResponse response;
  for (uint64_t tag = 71; tag < 73; ++tag) {
    write_large(tag);
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.tag(), tag);
    EXPECT_EQ(response.error().code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  OpenGate();
  write_large(73);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.tag(), 73u);
  EXPECT_EQ(response.response().results_size(), 9'000) << response.error().message();
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OverloadTest, ExpiredAndCancelledCallsAreNotComputed) {
  gate_.Close();
  std::thread first([&] { EXPECT_TRUE(Get().ok()); });
  gate_.AwaitArrived(base_ + 1);
  std::vector<std::thread> others;
  for (int i = 0; i < 20; ++i) {
    others.emplace_back([&] {
      EXPECT_EQ(Get(absl::Milliseconds(100)).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    });
    others.emplace_back([&] {
      grpc::ClientContext context;
      v1::GetPointsResponse response;
      std::thread cancel([&] {
        absl::SleepFor(absl::Milliseconds(100));
        context.TryCancel();
      });
      EXPECT_EQ(points_->Get(&context, request_, &response).error_code(),
                grpc::StatusCode::CANCELLED);
      cancel.join();
    });
  }
  AwaitEnd(others);
  gate_.Open();
  first.join();
  EXPECT_TRUE(Get().ok());  // behind all of them
  EXPECT_EQ(gate_.arrived(), base_ + 2);
}

// Searches that run one after the other in one turn of the thread.
TEST_F(OverloadTest, SearchesThatExpireBehindOthersAreNotComputed) {
  v1::SearchRequest search;
  search.set_collection_name("words");
  search.set_limit(1);
  search.mutable_ids()->add_num(1);  // by id: each has to pass the gate
  const auto call = [&](absl::Duration deadline) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    v1::SearchResponse response;
    return points_->Search(&context, search, &response).error_code();
  };
  gate_.Close();
  std::thread first([&] { EXPECT_EQ(call(absl::Minutes(2)), grpc::StatusCode::OK); });
  gate_.AwaitArrived(base_ + 1);
  std::vector<std::thread> others;
  for (int i = 0; i < 10; ++i) {
    others.emplace_back(
        [&] { EXPECT_EQ(call(absl::Seconds(5)), grpc::StatusCode::DEADLINE_EXCEEDED); });
  }
  absl::SleepFor(absl::Milliseconds(500));  // until they wait
  gate_.LetOneThrough();
  first.join();
  gate_.AwaitArrived(base_ + 2);  // one of them, and all others are in its turn
  AwaitEnd(others);
  gate_.Open();
  EXPECT_TRUE(Get().ok());  // behind all of them
  EXPECT_EQ(gate_.arrived(), base_ + 3);
}

TEST_F(OverloadTest, ABatchThatOutlastsTheDrainEndsWithTheSearchThatRuns) {
  v1::SearchBatchRequest batch;
  batch.set_collection_name("words");
  for (int i = 0; i < 20; ++i) {
    v1::SearchRequest& search = *batch.add_searches();
    search.set_limit(1);
    search.mutable_ids()->add_num(1);
  }
  gate_.Close();
  std::thread running([&] {
    v1::SearchBatchResponse response;
    EXPECT_EQ(Call(*points_, &v1::Points::Stub::SearchBatch, batch, &response).error_code(),
              grpc::StatusCode::UNAVAILABLE);
    absl::SleepFor(absl::Milliseconds(200));  // until the server has heard of it too
    gate_.Open();
  });
  gate_.AwaitArrived(base_ + 1);
  server_->Shutdown(absl::Milliseconds(300));
  running.join();
  EXPECT_EQ(gate_.arrived(), base_ + 1);
}

// Each search takes its time, and each that is answered is followed by another.
TEST_F(OverloadTest, AReadGetsItsTurnWhileSearchesKeepComing) {
  constexpr int kCallers = 8;
  constexpr int kPassesMost = 200;
  v1::SearchRequest search;
  search.set_collection_name("words");
  search.set_limit(1);
  search.mutable_ids()->add_num(1);  // by id: they do not run together, and each is held up
  std::atomic<bool> stop{false}, answered{false};
  gate_.Close();
  std::vector<std::thread> threads;
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        v1::SearchResponse response;
        EXPECT_TRUE(Call(*points_, &v1::Points::Stub::Search, search, &response).ok());
      }
    });
  }
  gate_.AwaitArrived(base_ + 1);
  threads.emplace_back([&] {
    EXPECT_TRUE(Get().ok());
    answered = true;
  });
  for (int i = 0; i < kPassesMost && !answered; ++i) {
    gate_.LetOneThrough();
    absl::SleepFor(absl::Milliseconds(3));
  }
  EXPECT_TRUE(answered);
  stop = true;
  gate_.Open();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(OverloadTest, ShutdownWaitsForRunningCalls) {
  gate_.Close();
  std::atomic<bool> answered{false};
  std::thread running([&] {
    const grpc::Status status = Get();
    EXPECT_TRUE(status.ok()) << status.error_message();
    answered = true;
  });
  gate_.AwaitArrived(base_ + 1);
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    server_->Shutdown(absl::Minutes(2));
    stopped = true;
  });
  absl::SleepFor(absl::Milliseconds(700));
  EXPECT_FALSE(answered);
  EXPECT_FALSE(stopped);
  gate_.Open();
  running.join();
  stopper.join();
}

TEST_F(OverloadTest, ShutdownCancelsWhatOutlastsTheDrain) {
  gate_.Close();
  std::thread running([&] {
    EXPECT_EQ(Get().error_code(), grpc::StatusCode::UNAVAILABLE);
    gate_.Open();  // the thread in the engine cannot be cancelled, only its call
  });
  gate_.AwaitArrived(base_ + 1);
  server_->Shutdown(absl::Milliseconds(300));
  running.join();
}

TEST_F(OverloadTest, AStoppingServerRefusesNewCalls) {
  gate_.Close();
  std::thread running([&] { EXPECT_TRUE(Get().ok()); });
  gate_.AwaitArrived(base_ + 1);
  std::thread stopper([&] { server_->Shutdown(absl::Minutes(2)); });
  // A call that came before the stop waits behind the first one; it expires, and the next is late.
  CallError error(Get(absl::Milliseconds(100)));
  while (error.code == grpc::StatusCode::DEADLINE_EXCEEDED) {
    error = CallError(Get(absl::Milliseconds(100)));
  }
  EXPECT_EQ(error.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(error.reason, "SERVER_STOPPING");
  EXPECT_TRUE(error.retry);
  gate_.Open();
  running.join();
  stopper.join();
}

}  // namespace
}  // namespace tessera
