// The streaming calls against a scripted service behind a real gRPC server: what the client counts
// and returns when chunks are refused, connections end and operations fail.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "client/cpp/client.h"
#include "client/cpp/error_details.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tessera/v1/codebooks.grpc.pb.h"
#include "tessera/v1/operations.grpc.pb.h"
#include "tessera/v1/points.grpc.pb.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

// Answers chunks of n ids with n points; refuses chunk `refuse_at`.
class ScriptedPoints : public v1::Points::Service {
 public:
  grpc::Status UpsertStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::UpsertResponse, v1::UpsertRequest>* stream) override {
    v1::UpsertRequest request;
    for (int chunk = 0; stream->Read(&request); ++chunk) {
      names.push_back(request.collection_name());
      ++received;
      if (chunk == refuse_at) {
        return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "vectors: NaN");
      }
      if (chunk == close_at) return grpc::Status::OK;
      while (received_then_hold && !release) absl::SleepFor(absl::Milliseconds(1));
      absl::SleepFor(pause);
      v1::UpsertResponse response;
      response.set_points(static_cast<uint64_t>(request.ids().num_size()));
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  // Answers tag t with t lists scanned; search `refuse_at` with an error. Ends at `close_at`.
  grpc::Status SearchStream(grpc::ServerContext*,
                            grpc::ServerReaderWriter<v1::SearchStreamResponse,
                                                     v1::SearchStreamRequest>* stream) override {
    v1::SearchStreamRequest request;
    for (int search = 0; stream->Read(&request); ++search) {
      if (search == close_at) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
      v1::SearchStreamResponse response;
      response.set_tag(request.tag());
      if (search == refuse_at) {
        response.mutable_error()->set_code(grpc::StatusCode::NOT_FOUND);
        response.mutable_error()->set_message("no such collection");
      } else {
        response.mutable_response()->set_lists_scanned(request.tag());
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  int refuse_at = -1;
  int close_at = -1;
  bool received_then_hold = false;  // nothing is answered before `release`
  std::atomic<bool> release = false;
  absl::Duration pause = absl::ZeroDuration();  // before each answer
  std::atomic<int> received = 0;
  std::vector<std::string> names;
};

class ScriptedOperations : public v1::Operations::Service {
 public:
  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchOperationRequest* request,
                     grpc::ServerWriter<v1::Operation>* writer) override {
    for (v1::Operation operation : script) {
      operation.set_operation_id(request->operation_id());
      writer->Write(operation);
    }
    while (hang && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));
    return grpc::Status::OK;
  }

  std::vector<v1::Operation> script;
  bool hang = false;
};

class ScriptedCodebooks : public v1::Codebooks::Service {
 public:
  grpc::Status Export(grpc::ServerContext*, const v1::ExportCodebookRequest*,
                      grpc::ServerWriter<v1::ExportCodebookResponse>* writer) override {
    for (const char* chunk : {"abc", "de"}) {
      v1::ExportCodebookResponse response;
      response.set_chunk(chunk);
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Import(grpc::ServerContext*, grpc::ServerReader<v1::ImportCodebookRequest>* reader,
                      v1::Operation* response) override {
    v1::ImportCodebookRequest request;
    while (reader->Read(&request)) {
      names.push_back(request.collection_name());
      bytes += request.chunk();
    }
    if (bytes.empty()) return grpc::Status(grpc::StatusCode::DATA_LOSS, "empty codebook");
    response->set_operation_id("import-1");
    return grpc::Status::OK;
  }

  std::vector<std::string> names;
  std::string bytes;
};

class StreamsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&points_);
    builder.RegisterService(&operations_);
    builder.RegisterService(&codebooks_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    ClientOptions options;
    options.address = "127.0.0.1:" + std::to_string(port);
    client_ = std::make_unique<Client>(options);
  }

  void TearDown() override { server_->Shutdown(); }

  static v1::UpsertRequest Chunk(int points) {
    v1::UpsertRequest request;
    for (int i = 0; i < points; ++i) request.mutable_ids()->add_num(static_cast<uint64_t>(i));
    return request;
  }

  static v1::Operation State(v1::OperationState state, uint64_t done) {
    v1::Operation operation;
    operation.set_state(state);
    operation.set_done(done);
    return operation;
  }

  ScriptedPoints points_;
  ScriptedOperations operations_;
  ScriptedCodebooks codebooks_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(StreamsTest, BulkUpsertCountsWhatIsAcknowledged) {
  auto upserter = client_->StartBulkUpsert({.collection_name = "words", .chunks_in_flight_max = 3});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(upserter->Write(Chunk(5)).ok());
  EXPECT_GE(upserter->acknowledged_chunks(), 17u);
  EXPECT_TRUE(upserter->Finish().ok());
  EXPECT_EQ(upserter->acknowledged_chunks(), 20u);
  EXPECT_EQ(upserter->acknowledged_points(), 100u);
  EXPECT_EQ(points_.names[0], "words");
  EXPECT_EQ(points_.names[1], "");
  EXPECT_TRUE(upserter->Finish().ok());
  EXPECT_FALSE(upserter->Write(Chunk(1)).ok());
}

TEST_F(StreamsTest, BulkUpsertOfNothingSucceeds) {
  auto upserter = client_->StartBulkUpsert({.collection_name = "words"});
  EXPECT_TRUE(upserter->Finish().ok());
  EXPECT_EQ(upserter->acknowledged_chunks(), 0u);
}

TEST_F(StreamsTest, BulkUpsertStopsAtTheChunkThatIsRefused) {
  points_.refuse_at = 4;
  auto upserter = client_->StartBulkUpsert({.collection_name = "words", .chunks_in_flight_max = 2});
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) status = upserter->Write(Chunk(3));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upserter->acknowledged_chunks(), 4u);
  EXPECT_EQ(upserter->acknowledged_points(), 12u);
  EXPECT_EQ(upserter->Write(Chunk(3)), status);
  EXPECT_EQ(upserter->Finish(), status);
}

TEST_F(StreamsTest, BulkUpsertLearnsOfARefusalWhenItFinishes) {
  points_.refuse_at = 1;
  auto upserter = client_->StartBulkUpsert({.collection_name = "words"});
  ASSERT_TRUE(upserter->Write(Chunk(1)).ok());
  // The stream may have ended before or after this chunk is sent; Finish knows either way.
  upserter->Write(Chunk(1)).IgnoreError();
  EXPECT_EQ(upserter->Finish().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upserter->acknowledged_chunks(), 1u);
}

TEST_F(StreamsTest, BulkUpsertNeverHasMoreInFlightThanItsWindow) {
  points_.received_then_hold = true;
  auto upserter = client_->StartBulkUpsert({.collection_name = "words", .chunks_in_flight_max = 2});
  std::atomic<int> written = 0;
  std::thread writer([&] {
    for (int i = 0; i < 6; ++i) {
      if (!upserter->Write(Chunk(1)).ok()) return;
      ++written;
    }
  });
  while (points_.received < 1) absl::SleepFor(absl::Milliseconds(1));
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_LE(written, 2);
  points_.release = true;
  writer.join();
  EXPECT_TRUE(upserter->Finish().ok());
  EXPECT_EQ(upserter->acknowledged_chunks(), 6u);
}

TEST_F(StreamsTest, BulkUpsertDoesNotTakeAnEarlyEndForSuccess) {
  points_.close_at = 1;
  auto upserter = client_->StartBulkUpsert({.collection_name = "words", .chunks_in_flight_max = 1});
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) status = upserter->Write(Chunk(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(upserter->acknowledged_chunks(), 1u);
}

TEST_F(StreamsTest, BulkUpsertHonoursItsDeadline) {
  points_.received_then_hold = true;
  auto upserter =
      client_->StartBulkUpsert({.collection_name = "words", .timeout = absl::Milliseconds(200)});
  upserter->Write(Chunk(1)).IgnoreError();
  EXPECT_EQ(upserter->Finish().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(upserter->acknowledged_points(), 0u);
  points_.release = true;
}

TEST_F(StreamsTest, BulkUpsertDoesNotWaitForeverForAnAcknowledgement) {
  points_.received_then_hold = true;
  for (const size_t payload_bytes : {size_t{1}, size_t{3} << 20}) {
    auto upserter = client_->StartBulkUpsert({.collection_name = "words",
                                              .chunks_in_flight_max = 20,
                                              .acknowledgement_timeout = absl::Milliseconds(200)});
    absl::Status status;
    for (int i = 0; i < 12 && status.ok(); ++i) {
      v1::UpsertRequest chunk = Chunk(1);
      chunk.add_payloads(std::string(payload_bytes, 'x'));
      status = upserter->Write(std::move(chunk));
    }
    // The large ones do not fit what the connection holds: it is Write that waits.
    EXPECT_EQ(status.ok(), payload_bytes == 1) << status;
    status = upserter->Finish();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_EQ(status.message(), "the server did not acknowledge anything within 200ms");
    EXPECT_EQ(upserter->Write(Chunk(1)), status);
    EXPECT_EQ(upserter->acknowledged_chunks(), 0u);
  }
  points_.release = true;
}

TEST_F(StreamsTest, AnAcknowledgementBeginsTheWaitAnew) {
  points_.pause = absl::Milliseconds(300);
  auto upserter = client_->StartBulkUpsert({.collection_name = "words",
                                            .chunks_in_flight_max = 5,
                                            .acknowledgement_timeout = absl::Seconds(1)});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(upserter->Write(Chunk(1)).ok());
  EXPECT_TRUE(upserter->Finish().ok());
  EXPECT_EQ(upserter->acknowledged_chunks(), 5u);
}

TEST_F(StreamsTest, DroppingABulkUpsertCancelsIt) {
  points_.received_then_hold = true;
  {
    auto upserter = client_->StartBulkUpsert({.collection_name = "words"});
    ASSERT_TRUE(upserter->Write(Chunk(1)).ok());
  }
  points_.release = true;
}

TEST_F(StreamsTest, ASearchStreamTellsFailedSearchesFromItsEnd) {
  points_.refuse_at = 1;
  const auto stream = client_->StartSearchStream();
  for (uint64_t tag : {30, 10, 20}) EXPECT_TRUE(stream->Send(tag, v1::SearchRequest()));
  stream->Done();
  for (uint64_t tag : {30, 10, 20}) {
    const auto answer = stream->Receive();
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->tag, tag);
    if (tag == 10) {
      EXPECT_TRUE(absl::IsNotFound(answer->response.status())) << answer->response.status();
    } else {
      ASSERT_TRUE(answer->response.ok()) << answer->response.status();
      EXPECT_EQ(answer->response->lists_scanned(), tag);
    }
  }
  EXPECT_TRUE(absl::IsOutOfRange(stream->Receive().status()));
  EXPECT_TRUE(absl::IsOutOfRange(stream->Receive().status()));
}

TEST_F(StreamsTest, ASearchStreamTakesNothingOnceItIsDone) {
  const auto stream = client_->StartSearchStream();
  ASSERT_TRUE(stream->Send(1, {}));
  stream->Done();
  stream->Done();
  EXPECT_FALSE(stream->Send(2, {}));
  EXPECT_TRUE(stream->Receive().ok());
  EXPECT_TRUE(absl::IsOutOfRange(stream->Receive().status()));
}

TEST_F(StreamsTest, ASearchStreamReturnsWhatEndedIt) {
  points_.close_at = 1;
  const auto stream = client_->StartSearchStream();
  EXPECT_TRUE(stream->Send(1, v1::SearchRequest()));
  EXPECT_TRUE(stream->Send(2, v1::SearchRequest()));
  EXPECT_TRUE(stream->Receive().ok());
  EXPECT_TRUE(absl::IsUnavailable(stream->Receive().status()));
  EXPECT_FALSE(stream->Send(3, v1::SearchRequest()));
}

TEST_F(StreamsTest, DroppingASearchStreamCancelsIt) {
  const auto stream = client_->StartSearchStream();
  EXPECT_TRUE(stream->Send(1, v1::SearchRequest()));
}

TEST_F(StreamsTest, WaitReturnsTheOperationThatSucceeded) {
  operations_.script = {State(v1::RUNNING, 1), State(v1::RUNNING, 2), State(v1::SUCCEEDED, 3)};
  std::vector<uint64_t> seen;
  const auto operation = client_->WaitOperation(
      "train-1", [&](const v1::Operation& state) { seen.push_back(state.done()); });
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_EQ(operation->operation_id(), "train-1");
  EXPECT_THAT(seen, ElementsAre(1, 2, 3));
}

TEST_F(StreamsTest, WaitReturnsTheErrorOfAnOperationThatFailed) {
  v1::Operation failed = State(v1::FAILED, 0);
  failed.mutable_error()->set_code(static_cast<int>(absl::StatusCode::kResourceExhausted));
  failed.mutable_error()->set_message("disk full");
  operations_.script = {failed};
  const absl::Status status = client_->WaitOperation("train-1", nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "disk full");
}

TEST_F(StreamsTest, WaitTellsCancelledUnexplainedAndUnfinishedApart) {
  operations_.script = {State(v1::CANCELLED, 0)};
  EXPECT_TRUE(absl::IsCancelled(client_->WaitOperation("a", nullptr).status()));
  operations_.script = {State(v1::FAILED, 0)};
  EXPECT_TRUE(absl::IsUnknown(client_->WaitOperation("a", nullptr).status()));
  operations_.script = {State(v1::RUNNING, 0)};
  EXPECT_TRUE(absl::IsInternal(client_->WaitOperation("a", nullptr).status()));
  operations_.script = {};
  EXPECT_TRUE(absl::IsInternal(client_->WaitOperation("a", nullptr).status()));
}

TEST_F(StreamsTest, WaitHonoursItsTimeout) {
  operations_.script = {State(v1::RUNNING, 0)};
  operations_.hang = true;
  const absl::Status status =
      client_->WaitOperation("a", nullptr, absl::Milliseconds(100)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST_F(StreamsTest, ExportHandsOverEveryChunk) {
  std::string bytes;
  const absl::Status status = client_->ExportCodebook("words", 0, [&](std::string_view chunk) {
    bytes += chunk;
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(bytes, "abcde");
}

TEST_F(StreamsTest, ExportReturnsTheErrorOfItsSink) {
  const absl::Status status = client_->ExportCodebook(
      "words", 0, [](std::string_view) { return absl::ResourceExhaustedError("disk full"); });
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST_F(StreamsTest, ImportNamesTheCollectionOnceAndSendsEverything) {
  std::vector<std::string> chunks = {"ab", "cd", ""};
  size_t next = 0;
  const auto operation = client_->ImportCodebook(
      "words", [&]() -> absl::StatusOr<std::string> { return chunks[next++]; });
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_EQ(operation->operation_id(), "import-1");
  EXPECT_EQ(codebooks_.bytes, "abcd");
  EXPECT_THAT(codebooks_.names, ElementsAre("words", ""));
}

TEST_F(StreamsTest, ImportOfNothingIsForTheServerToRefuse) {
  const auto operation = client_->ImportCodebook(
      "words", []() -> absl::StatusOr<std::string> { return std::string(); });
  EXPECT_TRUE(absl::IsDataLoss(operation.status())) << operation.status();
  EXPECT_THAT(codebooks_.names, ElementsAre("words"));
}

TEST_F(StreamsTest, ImportReturnsTheErrorOfItsSource) {
  const auto operation = client_->ImportCodebook("words", []() -> absl::StatusOr<std::string> {
    return absl::InvalidArgumentError("words.tcb: shrank");
  });
  EXPECT_TRUE(absl::IsInvalidArgument(operation.status())) << operation.status();
}

TEST_F(StreamsTest, HealthTellsServingNotServingAndUnknownApart) {
  EXPECT_TRUE(client_->CheckHealth().ok());
  server_->GetHealthCheckService()->SetServingStatus(false);
  EXPECT_TRUE(absl::IsUnavailable(client_->CheckHealth()));
  EXPECT_TRUE(absl::IsNotFound(client_->CheckHealth("no.such.Service")));
}

TEST_F(StreamsTest, CallsThatNoServiceImplementsSaySo) {
  EXPECT_TRUE(absl::IsUnimplemented(client_->GetCollection("words").status()));
}

TEST(Client, SaysThatTheServerCannotBeReached) {
  Client client({.address = "127.0.0.1:1", .timeout = absl::Seconds(5)});
  EXPECT_TRUE(absl::IsUnavailable(client.CheckHealth()));
  auto upserter = client.StartBulkUpsert({.collection_name = "words"});
  upserter->Write(v1::UpsertRequest()).IgnoreError();
  EXPECT_TRUE(absl::IsUnavailable(upserter->Finish()));
}

}  // namespace
}  // namespace tessera
