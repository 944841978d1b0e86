#include "server/rpc/rpc_server.h"

#include <string>

#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "server/rpc/health_client.h"
#include "server/rpc/polling_threads.h"
#include "tests/server/rpc/raw_call.h"
#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

class RpcServerTest : public ServerFixture {
 protected:
  grpc::Status RawCall(const std::string& method, const std::string& bytes,
                       std::string* answer = nullptr) {
    return CallWithBytes(channel_, method, bytes, answer);
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
  for (const char* service :
       {"tessera.v1.Collections", "tessera.v1.Points", "tessera.v1.Codebooks",
        "tessera.v1.Operations", "tessera.v1.Snapshots", "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection"}) {
    EXPECT_NE(answer.find(service), std::string::npos) << service;
  }
  // file_containing_symbol, field 4: the schema of a service.
  ASSERT_TRUE(RawCall(kReflection, "\x22\x11tessera.v1.Points", &answer).ok());
  EXPECT_NE(answer.find("UpsertStream"), std::string::npos);
  // And all that it imports.
  EXPECT_NE(answer.find("tessera/v1/types.proto"), std::string::npos);
}

TEST_F(RpcServerTest, ReflectionAnswersWhatItDoesNotKnow) {
  namespace reflection = grpc::reflection::v1alpha;
  const auto stub = reflection::ServerReflection::NewStub(channel_);
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  const auto ask = [&](const reflection::ServerReflectionRequest& request) {
    reflection::ServerReflectionResponse response;
    EXPECT_TRUE(stream->Write(request));
    EXPECT_TRUE(stream->Read(&response));
    return response;
  };
  reflection::ServerReflectionRequest request;
  EXPECT_EQ(ask(request).error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_file_containing_symbol("tessera.v1.Nothing");
  EXPECT_EQ(ask(request).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_file_containing_symbol(std::string(limits::kReflectionRequestBytesMax, 'a'));
  const auto refusal = ask(request);
  EXPECT_EQ(refusal.error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_LT(refusal.ByteSizeLong(), 200u) << "nothing of it is repeated";
  request.set_file_by_filename("nothing.proto");
  EXPECT_EQ(ask(request).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  request.mutable_file_containing_extension()->set_containing_type("tessera.v1.SearchRequest");
  EXPECT_EQ(ask(request).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_all_extension_numbers_of_type("tessera.v1.SearchRequest");
  EXPECT_EQ(ask(request).all_extension_numbers_response().extension_number_size(), 0);
  request.set_file_by_filename("tessera/v1/points.proto");
  EXPECT_GT(ask(request).file_descriptor_response().file_descriptor_proto_size(), 1);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(RpcServerTest, ServesWhileFewThreadsPoll) {
  for (int round = 0; round < 2; ++round) {
    const PollingThreads polling_threads;
    Create(round == 0 ? "words" : "others", 4);
    EXPECT_TRUE(CountByCall().ok());
    EXPECT_TRUE(CheckHealth(Address(), absl::Seconds(60)).ok());
  }
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
