#include <thread>
#include <vector>

#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr int kDimension = 8;
constexpr int kChunk = 50;

class UpsertStreamTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    Create("words", kDimension);
  }

  static v1::UpsertRequest Chunk(int index) {
    return Points("words", static_cast<uint64_t>(index) * kChunk, kChunk, kDimension);
  }
};

TEST_F(UpsertStreamTest, AnswersEveryChunkInOrder) {
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  constexpr int kChunks = 40;
  std::thread writer([&] {
    for (int i = 0; i < kChunks; ++i) {
      v1::UpsertRequest chunk = Chunk(i);
      if (i > 0) chunk.clear_collection_name();  // it is that of the chunk before
      EXPECT_TRUE(stream->Write(chunk));
    }
    stream->WritesDone();
  });
  v1::UpsertResponse response;
  uint64_t sequence = 0;
  int answers = 0;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.points(), static_cast<uint64_t>(kChunk));
    EXPECT_GT(response.sequence(), sequence);
    sequence = response.sequence();
    ++answers;
  }
  writer.join();
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answers, kChunks);
  EXPECT_EQ(Count("words"), static_cast<uint64_t>(kChunks * kChunk));
}

TEST_F(UpsertStreamTest, EndsWithTheFirstChunkThatIsRefused) {
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  v1::UpsertRequest bad = Chunk(2);
  bad.mutable_vectors()->add_values(1);
  // The writes after the bad one may fail already: the stream has ended.
  stream->Write(Chunk(0));
  stream->Write(Chunk(1));
  stream->Write(bad);
  stream->Write(Chunk(3));
  v1::UpsertResponse response;
  int answers = 0;
  while (stream->Read(&response)) ++answers;
  const CallError error(stream->Finish());
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(error.field, "vectors.values");
  EXPECT_EQ(Count("words"), 2u * kChunk);
}

TEST_F(UpsertStreamTest, TheFirstChunkNamesTheCollection) {
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  v1::UpsertRequest chunk = Chunk(0);
  chunk.clear_collection_name();
  stream->Write(chunk);
  v1::UpsertResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(CallError(stream->Finish()).field, "collection_name");
}

TEST_F(UpsertStreamTest, AStreamWithoutChunksIsFine) {
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  stream->WritesDone();
  v1::UpsertResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(UpsertStreamTest, CancellingLeavesTheServerWell) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    const auto stream = points_->UpsertStream(&context);
    stream->Write(Chunk(i));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_EQ(Count("words") % kChunk, 0u);  // whole chunks or none
}

TEST_F(UpsertStreamTest, AStoppingServerEndsAnIdleStream) {
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  ASSERT_TRUE(stream->Write(Chunk(0)));
  v1::UpsertResponse response;
  ASSERT_TRUE(stream->Read(&response));
  const absl::Time start = absl::Now();
  server_->Shutdown(absl::Seconds(30));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_FALSE(stream->Read(&response));
  const CallError error(stream->Finish());
  EXPECT_EQ(error.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(error.reason, "SERVER_STOPPING");
  EXPECT_TRUE(error.retry);
  EXPECT_EQ(Count("words"), static_cast<uint64_t>(kChunk));
}

TEST_F(UpsertStreamTest, WhatWasAnsweredBeforeAStopIsWritten) {
  std::atomic<int> answers{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 3; ++c) {
    clients.emplace_back([&, c] {
      grpc::ClientContext context;
      const auto stream = points_->UpsertStream(&context);
      v1::UpsertResponse response;
      for (int i = 0; stream->Write(Chunk(c * 100'000 + i)) && stream->Read(&response); ++i) {
        ++answers;
      }
      EXPECT_EQ(CallError(stream->Finish()).reason, "SERVER_STOPPING");
    });
  }
  while (answers < 20) absl::SleepFor(absl::Milliseconds(1));
  server_->Shutdown(absl::Seconds(30));
  for (std::thread& client : clients) client.join();
  // A chunk that the engine had is answered, and no other is written.
  EXPECT_EQ(Count("words"), static_cast<uint64_t>(answers.load() * kChunk));
}

// One thread for writes, which is held up.
class QueuedUpsertStreamTest : public UpsertStreamTest {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    ServeThroughGate(gate_);
    Create("words", kDimension);
    v1::UpsertResponse written;
    ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Upsert, Chunk(0), &written).ok());
    write_ = HoldUpWrites(gate_, "words", 0);
  }

  // Has the server read a chunk, which then waits for the thread.
  void QueueChunk(grpc::ClientReaderWriter<v1::UpsertRequest, v1::UpsertResponse>& stream) {
    ASSERT_TRUE(stream.Write(Chunk(1)));
    absl::SleepFor(absl::Milliseconds(300));
  }
  void LetWritesGoOn() {
    absl::SleepFor(absl::Milliseconds(300));  // until the server has heard of what was done
    gate_.Open();
    write_.join();
  }

  Gate gate_;
  std::thread write_;
};

TEST_F(QueuedUpsertStreamTest, NothingIsWrittenOfAStreamThatWasCancelled) {
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  QueueChunk(*stream);
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  LetWritesGoOn();
  server_->Shutdown(absl::Seconds(60));  // once it has done with the stream
  EXPECT_EQ(Count("words"), uint64_t{kChunk});
}

TEST_F(QueuedUpsertStreamTest, NothingIsWrittenOfAStreamThatWasStopped) {
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  QueueChunk(*stream);
  std::thread stopper([&] { server_->Shutdown(absl::Minutes(2)); });
  LetWritesGoOn();
  v1::UpsertResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(CallError(stream->Finish()).reason, "SERVER_STOPPING");
  stopper.join();
  EXPECT_EQ(Count("words"), uint64_t{kChunk});
}

}  // namespace
}  // namespace tessera
