#include "server/rpc/rpc_server.h"

#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "server/rpc/health_client.h"
#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

class RpcServerTest : public ServerFixture {
 protected:
  // A call of bytes that no generated client would send; the answer's bytes, if there are any.
  grpc::Status RawCall(const std::string& method, const std::string& bytes,
                       std::string* answer = nullptr) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(&context, method, &queue);
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    const grpc::Slice slice(bytes);
    grpc::ByteBuffer response;
    grpc::Status status;
    call->StartCall(nullptr);
    wait();
    call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
    wait();
    call->Read(&response, nullptr);
    if (wait() && answer != nullptr) {
      grpc::Slice single;
      EXPECT_TRUE(response.DumpToSingleSlice(&single).ok());
      answer->assign(reinterpret_cast<const char*>(single.begin()), single.size());
    }
    call->Finish(&status, nullptr);
    wait();
    return status;
  }

  grpc::Status CountByCall() {
    v1::CountRequest request;
    request.set_collection_name("words");
    v1::CountResponse response;
    return Call(*points_, &v1::Points::Stub::Count, request, &response);
  }
};

TEST_F(RpcServerTest, AnswersBeforeTheEngineIsThere) {
  server_.reset();
  StartServer();
  const CallError error(CountByCall());
  EXPECT_EQ(error.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(error.reason, "SERVER_STARTING");
  EXPECT_TRUE(error.retry);
  grpc::ClientContext context;
  const auto stream = points_->UpsertStream(&context);
  v1::UpsertResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(CallError(stream->Finish()).reason, "SERVER_STARTING");
  EXPECT_EQ(CheckHealth(Address(), absl::Seconds(5)).code(), absl::StatusCode::kUnavailable);

  Create("words", 4);
  server_->Serve(*engine_);
  EXPECT_TRUE(CountByCall().ok());
  EXPECT_TRUE(CheckHealth(Address(), absl::Seconds(5)).ok());
}

TEST_F(RpcServerTest, HealthKnowsEveryService) {
  for (const std::string service : {"", "tessera.v1.Collections", "tessera.v1.Points",
                                    "tessera.v1.Codebooks", "tessera.v1.Operations"}) {
    // A HealthCheckRequest: field 1 is the service.
    const std::string request =
        service.empty() ? "" : std::string("\x0a") + static_cast<char>(service.size()) + service;
    std::string answer;
    EXPECT_TRUE(RawCall("/grpc.health.v1.Health/Check", request, &answer).ok()) << service;
    EXPECT_EQ(answer, "\x08\x01") << service;
  }
  EXPECT_EQ(RawCall("/grpc.health.v1.Health/Check", "\x0a\x01x").error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(CheckHealth("127.0.0.1:1", absl::Seconds(5)).code(), absl::StatusCode::kUnavailable);
}

TEST_F(RpcServerTest, ReflectionListsTheServices) {
  std::string answer;
  // list_services, field 7.
  ASSERT_TRUE(RawCall(kReflection, "\x3a\x01*", &answer).ok());
  for (const char* service : {"tessera.v1.Collections", "tessera.v1.Points", "tessera.v1.Codebooks",
                              "tessera.v1.Operations", "grpc.health.v1.Health"}) {
    EXPECT_NE(answer.find(service), std::string::npos) << service;
  }
  // file_containing_symbol, field 4: the schema of a service.
  ASSERT_TRUE(RawCall(kReflection, "\x22\x11tessera.v1.Points", &answer).ok());
  EXPECT_NE(answer.find("UpsertStream"), std::string::npos);
}

TEST_F(RpcServerTest, DamagedMessagesAreInvalid) {
  const CallError garbage(RawCall("/tessera.v1.Points/Search", "\x0a\x7f!"));
  EXPECT_EQ(garbage.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(garbage.reason, "MALFORMED_MESSAGE");
  const CallError text(RawCall("/tessera.v1.Points/Count", "\x0a\x02\xff\xfe"));
  EXPECT_EQ(text.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(text.field, "collection_name");
  const CallError id(RawCall("/tessera.v1.Points/Delete",
                             "\x0a\x05words\x12\x06\x12\x01"
                             "a\x12\x01\xc3"));
  EXPECT_EQ(id.field, "ids.str[1]");
  for (const char* stream : {"/tessera.v1.Points/UpsertStream", "/tessera.v1.Operations/Watch",
                             "/tessera.v1.Codebooks/Import", "/tessera.v1.Codebooks/Export"}) {
    const CallError error(RawCall(stream, "\x0a\x7f!"));
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT) << stream;
    EXPECT_EQ(error.reason, "MALFORMED_MESSAGE") << stream;
  }
  EXPECT_EQ(RawCall("/tessera.v1.Points/Nothing", "").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(RpcServerTest, RefusesAMessageOverTheLimit) {
  Create("words", 4);
  v1::UpsertRequest request;
  request.set_collection_name("words");
  request.mutable_ids()->add_num(1);
  request.mutable_vectors()->set_data(std::string(limits::kMessageBytesMax, 'x'));
  v1::UpsertResponse response;
  const grpc::Status over = Call(*points_, &v1::Points::Stub::Upsert, request, &response);
  EXPECT_EQ(over.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(over.error_message().find(std::to_string(limits::kMessageBytesMax)), std::string::npos);
  // Just under it the engine's side is asked.
  request.mutable_vectors()->mutable_data()->resize(limits::kMessageBytesMax - 1'000);
  EXPECT_EQ(CallError(Call(*points_, &v1::Points::Stub::Upsert, request, &response)).field,
            "vectors.data");
  EXPECT_EQ(Count("words"), 0u);
}

TEST_F(RpcServerTest, AFullQueueAnswersAtOnceAndServesTheRest) {
  server_.reset();
  StartServer(/*search_threads=*/1);
  server_->Serve(*engine_);
  Create("words", 64);
  const Matrix rows = ClusteredRows(20'000, 64, 1);
  ASSERT_TRUE(UpsertRows("words", 0, rows).ok());
  v1::SearchRequest slow;
  slow.set_collection_name("words");
  slow.set_limit(10);
  slow.mutable_params()->set_exact(true);
  slow.mutable_vectors()->mutable_values()->Add(rows.data(), rows.data() + 200 * 64);

  // More calls than the queue holds, over enough connections that the limit on calls of one
  // connection does not hold them back.
  constexpr int kConnections = 15;
  constexpr int kCalls = 90;
  std::atomic<int> served{0}, refused{0}, other{0}, running{kConnections * kCalls};
  std::vector<std::unique_ptr<v1::Points::Stub>> stubs;
  struct Pending {
    grpc::ClientContext context;
    v1::SearchResponse response;
  };
  std::vector<Pending> calls(kConnections * kCalls);
  for (int c = 0; c < kConnections; ++c) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs.push_back(v1::Points::NewStub(
        grpc::CreateCustomChannel(Address(), grpc::InsecureChannelCredentials(), arguments)));
    for (int i = 0; i < kCalls; ++i) {
      Pending& call = calls[static_cast<size_t>(c * kCalls + i)];
      stubs.back()->async()->Search(&call.context, &slow, &call.response, [&](grpc::Status status) {
        const CallError error(status);
        if (status.ok()) {
          ++served;
        } else if (error.reason == "SERVER_BUSY" && error.retry &&
                   error.code == grpc::StatusCode::RESOURCE_EXHAUSTED) {
          ++refused;
        } else {
          ++other;
        }
        --running;
      });
    }
  }
  // Other work goes on beside a full search queue.
  EXPECT_TRUE(UpsertRows("words", 0, ClusteredRows(1, 64, 2)).ok());
  v1::GetCollectionRequest get;
  get.set_collection_name("words");
  v1::Collection info;
  EXPECT_TRUE(Call(*collections_, &v1::Collections::Stub::Get, get, &info).ok());
  while (refused == 0 && running > 0) absl::SleepFor(absl::Milliseconds(1));
  for (Pending& call : calls) call.context.TryCancel();
  while (running > 0) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GT(refused, 0);
}

TEST_F(RpcServerTest, ExpiredCallsAreNotComputed) {
  server_.reset();
  StartServer(/*search_threads=*/1);
  server_->Serve(*engine_);
  Create("words", 64);
  const Matrix rows = ClusteredRows(20'000, 64, 1);
  ASSERT_TRUE(UpsertRows("words", 0, rows).ok());
  v1::SearchRequest slow;
  slow.set_collection_name("words");
  slow.set_limit(10);
  slow.mutable_params()->set_exact(true);
  slow.mutable_vectors()->mutable_values()->Add(rows.data(), rows.data() + 2'000 * 64);
  const auto search = [&](absl::Duration deadline) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    v1::SearchResponse response;
    return points_->Search(&context, slow, &response);
  };
  const absl::Time before = absl::Now();
  ASSERT_TRUE(search(absl::Minutes(5)).ok());
  const absl::Duration one = absl::Now() - before;

  // One runs, 50 wait behind it and expire. Computing them would take 50 times as long.
  std::thread first([&] { EXPECT_TRUE(search(absl::Minutes(5)).ok()); });
  absl::SleepFor(one / 4);
  std::vector<std::thread> others;
  for (int i = 0; i < 50; ++i) {
    others.emplace_back(
        [&] { EXPECT_EQ(search(one / 8).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED); });
  }
  for (std::thread& thread : others) thread.join();
  first.join();
  const absl::Time after = absl::Now();
  ASSERT_TRUE(search(absl::Minutes(5)).ok());
  EXPECT_LT(absl::Now() - after, 10 * one + absl::Seconds(1));
}

TEST_F(RpcServerTest, ShutdownWaitsForRunningCalls) {
  Create("words", 64);
  const Matrix rows = ClusteredRows(20'000, 64, 1);
  ASSERT_TRUE(UpsertRows("words", 0, rows).ok());
  v1::SearchRequest slow;
  slow.set_collection_name("words");
  slow.set_limit(10);
  slow.mutable_params()->set_exact(true);
  slow.mutable_vectors()->mutable_values()->Add(rows.data(), rows.data() + 2'000 * 64);
  std::thread running([&] {
    v1::SearchResponse response;
    const grpc::Status status = Call(*points_, &v1::Points::Stub::Search, slow, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.results_size(), 2'000);
  });
  absl::SleepFor(absl::Milliseconds(50));
  server_->Shutdown(absl::Seconds(60));
  running.join();
  EXPECT_FALSE(CheckHealth(Address(), absl::Seconds(1)).ok());
}

TEST_F(RpcServerTest, AHealthWatchHearsOfTheStopAndDoesNotHoldIt) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto watch = stub.PrepareCall(&context, "/grpc.health.v1.Health/Watch", &queue);
  const auto read = [&] {
    grpc::ByteBuffer response;
    watch->Read(&response, nullptr);
    grpc::Slice single;
    if (!wait() || !response.DumpToSingleSlice(&single).ok()) return std::string("ended");
    return std::string(reinterpret_cast<const char*>(single.begin()), single.size());
  };
  const grpc::Slice whole_server;
  watch->StartCall(nullptr);
  ASSERT_TRUE(wait());
  watch->WriteLast(grpc::ByteBuffer(&whole_server, 1), {}, nullptr);
  ASSERT_TRUE(wait());
  EXPECT_EQ(read(), "\x08\x01");
  const absl::Time start = absl::Now();
  server_->Shutdown(absl::Seconds(60));
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
  EXPECT_EQ(read(), "\x08\x02");
  EXPECT_EQ(read(), "ended");
  grpc::Status status;
  watch->Finish(&status, nullptr);
  wait();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RpcServerTest, TwoServersCannotShareAPort) {
  RpcServerOptions options;
  options.listen = Address();
  EXPECT_EQ(RpcServer::Start(options).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tessera
