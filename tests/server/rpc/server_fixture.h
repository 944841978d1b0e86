#ifndef TESSERA_TESTS_SERVER_RPC_SERVER_FIXTURE_H_
#define TESSERA_TESTS_SERVER_RPC_SERVER_FIXTURE_H_

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "index/base/limits.h"
#include "server/rpc/rpc_server.h"
#include "tessera/v1/codebooks.grpc.pb.h"
#include "tessera/v1/collections.grpc.pb.h"
#include "tessera/v1/operations.grpc.pb.h"
#include "tessera/v1/points.grpc.pb.h"
#include "tests/server/engine/engine_fixture.h"
#include "tests/server/rpc/gated_store.h"

namespace tessera {

// The details that a refused call came with.
struct CallError {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason;
  std::string field;
  std::string resource;
  bool retry = false;

  explicit CallError(const grpc::Status& status) : code(status.error_code()) {
    google::rpc::Status rpc;
    rpc.ParseFromString(status.error_details());
    for (const auto& any : rpc.details()) {
      google::rpc::ErrorInfo info;
      google::rpc::BadRequest bad_request;
      google::rpc::ResourceInfo resource_info;
      if (any.UnpackTo(&info)) reason = info.reason();
      if (any.UnpackTo(&bad_request)) field = bad_request.field_violations(0).field();
      if (any.UnpackTo(&resource_info)) resource = resource_info.resource_type();
      retry = retry || any.Is<google::rpc::RetryInfo>();
    }
  }
};

// The gRPC server in this process, on a free port, over a real engine and a real store.
class ServerFixture : public EngineFixture {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    StartServer();
    server_->Serve(*engine_);
  }

  void TearDown() override {
    server_.reset();
    EngineFixture::TearDown();
  }

  // Listens, without an engine yet.
  void StartServer(size_t search_threads = 2, size_t write_threads = 4) {
    RpcServerOptions options;
    options.listen = "127.0.0.1:0";
    options.search_threads = search_threads;
    options.write_threads = write_threads;
    options.secrets = secrets_.get();
    auto server = RpcServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(static_cast<int>(limits::kMessageBytesMax));
    arguments.SetMaxSendMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(Address(), grpc::InsecureChannelCredentials(), arguments);
    collections_ = v1::Collections::NewStub(channel_);
    points_ = v1::Points::NewStub(channel_);
    codebooks_ = v1::Codebooks::NewStub(channel_);
    operations_ = v1::Operations::NewStub(channel_);
  }

  // Serves another, empty engine instead, with one thread for searches and one for writes; its
  // reads of points wait at `gate`.
  void ServeThroughGate(Gate& gate) {
    server_.reset();
    engine_.reset();
    RocksDbOptions options;
    options.path = directory_ + "/gated";
    auto store = OpenRocksDbStore(options);
    ASSERT_TRUE(store.ok()) << store.status();
    auto gated = std::make_unique<GatedStore>(*std::move(store), gate);
    auto engine = Engine::Open(Wrapped(std::move(gated)), executor_, {});
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    StartServer(/*search_threads=*/1, /*write_threads=*/1);
    server_->Serve(*engine_);
  }

  std::string Address() const { return absl::StrCat("127.0.0.1:", server_->port()); }

  // Calls a unary method: Call(*points_, &v1::Points::Stub::Search, request, &response).
  template <typename Stub, typename Method, typename Request, typename Response>
  static grpc::Status Call(Stub& stub, Method method, const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub.*method)(&context, request, response);
  }

  // An upsert of `count` points of dimension `dimension` that are all different.
  static v1::UpsertRequest Points(const std::string& collection, uint64_t first_id, int count,
                                  int dimension) {
    v1::UpsertRequest request;
    request.set_collection_name(collection);
    for (int i = 0; i < count; ++i) {
      request.mutable_ids()->add_num(first_id + static_cast<uint64_t>(i));
      for (int t = 0; t < dimension; ++t) {
        request.mutable_vectors()->add_values(
            static_cast<float>((static_cast<uint64_t>(i) + first_id) * 7 % 101) + 0.25f * t);
      }
    }
    return request;
  }

  // Has the thread for writes wait at the gate, once this returns, with the payload of a point.
  std::thread HoldUpWrites(Gate& gate, const std::string& collection, uint64_t id) {
    const int arrived = gate.arrived();
    gate.Close();
    std::thread write([this, collection, id] {
      v1::ClearPayloadRequest request;
      request.set_collection_name(collection);
      request.mutable_points()->mutable_ids()->add_num(id);
      v1::UpsertResponse response;
      EXPECT_TRUE(Call(*points_, &v1::Points::Stub::ClearPayload, request, &response).ok());
    });
    gate.AwaitArrived(arrived + 1);
    return write;
  }

  uint64_t Count(const std::string& collection) {
    auto count = engine_->CountPoints(collection, {});
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(0);
  }

  uint64_t Sequence(const std::string& collection) {
    auto info = engine_->GetCollection(collection);
    EXPECT_TRUE(info.ok()) << info.status();
    return info.ok() ? info->sequence : 0;
  }

  std::unique_ptr<Secrets> secrets_;  // of the next server; null: everybody may do everything
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Collections::Stub> collections_;
  std::unique_ptr<v1::Points::Stub> points_;
  std::unique_ptr<v1::Codebooks::Stub> codebooks_;
  std::unique_ptr<v1::Operations::Stub> operations_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_RPC_SERVER_FIXTURE_H_
