#include "server/rpc/rpc_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "server/rpc/codebooks_service.h"
#include "server/rpc/collections_service.h"
#include "server/rpc/operations_service.h"
#include "server/rpc/points_service.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/service_env.h"
#include "server/rpc/snapshots_service.h"
#include "server/rpc/tls_credentials.h"
#include "tessera/v1/codebooks.grpc.pb.h"
#include "tessera/v1/collections.grpc.pb.h"
#include "tessera/v1/operations.grpc.pb.h"
#include "tessera/v1/points.grpc.pb.h"
#include "tessera/v1/snapshots.grpc.pb.h"

namespace tessera {
namespace {

constexpr int kMinuteMs = 60'000;
// How long a stopping server goes on to answer that it is stopping. gRPC's own shutdown answers
// the calls that cross it with a bare CANCELLED, which tells a client nothing.
constexpr absl::Duration kRefusalTime = absl::Milliseconds(200);
// What calls that are still on their way in when no other is left get to be refused in.
constexpr absl::Duration kLastCallsTime = absl::Seconds(1);
constexpr absl::Duration kWatchInterval = absl::Milliseconds(100);

WorkerPoolOptions PoolOptions(const char* name, size_t threads, size_t queue_max) {
  return {.name = name,
          .threads = threads,
          .queue_max = queue_max,
          .bytes_max = limits::kHeldRequestBytesMax};
}

void SetTransportOptions(grpc::ServerBuilder& builder) {
  // Larger messages are RESOURCE_EXHAUSTED, which gRPC answers itself.
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kMessageBytesMax));
  // Vectors hardly compress, and a small compressed message may be a large one inside.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);

  const std::pair<const char*, int> arguments[] = {
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(limits::kStreamsPerConnectionMax)},
      {GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(limits::kMetadataBytesMax)},
      {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5'000},
      // A second server on the same port is an error and not a share of the calls.
      {GRPC_ARG_ALLOW_REUSEPORT, 0},
      // A client that is gone without a word is noticed; one that pings too often is cut off.
      {GRPC_ARG_KEEPALIVE_TIME_MS, kMinuteMs},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000},
      {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2},
      // Clients move to a new connection from time to time. The old one may finish its calls: a
      // bulk load or the watch of a training may well take longer than any grace.
      {GRPC_ARG_MAX_CONNECTION_AGE_MS, 30 * kMinuteMs},
  };
  for (const auto& [name, value] : arguments) builder.AddChannelArgument(name, value);
}

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const Secrets* secrets) {
  const bool encrypt = secrets != nullptr && secrets->identity() != nullptr;
  return encrypt ? MakeTlsCredentials(*secrets) : grpc::InsecureServerCredentials();
}

class RpcServerImpl final : public RpcServer {
 public:
  explicit RpcServerImpl(const RpcServerOptions& options)
      : watches_(kWatchInterval),
        search_pool_(PoolOptions("search", options.search_threads, limits::kSearchQueueMax)),
        write_pool_(PoolOptions("write", options.write_threads, limits::kWriteQueueMax)),
        admin_pool_(PoolOptions("admin", options.admin_threads, limits::kAdminQueueMax)),
        env_{options.stats, options.secrets, engine_,  calls_,   search_pool_,
             write_pool_,   admin_pool_,     streams_, watches_, options.on_fault},
        credentials_(CredentialsOf(options.secrets)) {
    services_.push_back(NewCollectionsService(env_));
    services_.push_back(NewPointsService(env_));
    services_.push_back(NewCodebooksService(env_));
    services_.push_back(NewOperationsService(env_));
    services_.push_back(NewSnapshotsService(env_));
    services_.push_back(NewReflectionService(env_));
  }

  ~RpcServerImpl() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen(const std::string& address) {
    grpc::ServerBuilder builder;
    SetTransportOptions(builder);
    builder.AddListeningPort(address, credentials_, &port_);
    for (const auto& service : services_) builder.RegisterService(service.get());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      return absl::UnavailableError(absl::StrCat(
          "cannot listen on ", address, ": the port is taken, or the address is not ours"));
    }
    SetHealth(false);
    return absl::OkStatus();
  }

  int port() const override { return port_; }
  Executor& search_executor() override { return search_pool_; }

  void Serve(Engine& engine) override {
    absl::MutexLock lock(&mutex_);
    // In this order: Shutdown takes the server away without the lock.
    if (engine_.stopping() || server_ == nullptr) return;
    engine_.Set(&engine);
    SetHealth(true);
  }

  void Shutdown(absl::Duration drain) override {
    {
      absl::MutexLock lock(&mutex_);
      if (server_ == nullptr) return;
      engine_.Stop();
      SetHealth(false);
    }
    const absl::Time deadline = absl::Now() + drain;
    streams_.StopAll();
    absl::SleepFor(std::min(drain, kRefusalTime));
    calls_.AwaitNone(deadline);
    // What is left are refusals on their way out, and watches of the health.
    server_->Shutdown(absl::ToChronoTime(std::min(deadline, absl::Now() + kLastCallsTime)));
    // gRPC has no call left now, so nobody submits to the pools or the hub any more.
    search_pool_.Stop();
    write_pool_.Stop();
    admin_pool_.Stop();
    watches_.Stop();
    server_.reset();
  }

 private:
  void SetHealth(bool serving) {
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    if (health == nullptr) return;
    for (const char* name :
         {v1::Collections::service_full_name(), v1::Points::service_full_name(),
          v1::Codebooks::service_full_name(), v1::Operations::service_full_name(),
          v1::Snapshots::service_full_name()}) {
      health->SetServingStatus(name, serving);
    }
    health->SetServingStatus("", serving);
  }

  absl::Mutex mutex_;  // Serve against the start of Shutdown
  EngineSlot engine_;
  CallCounter calls_;
  StreamRegistry streams_;
  WatchHub watches_;
  WorkerPool search_pool_;
  WorkerPool write_pool_;
  WorkerPool admin_pool_;
  const ServiceEnv env_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcServerOptions& options) {
  grpc::EnableDefaultHealthCheckService(true);
  // Protobuf prints a line for every damaged message; those that send them get an answer instead.
  google::protobuf::SetLogHandler(nullptr);

  auto server = std::make_unique<RpcServerImpl>(options);
  if (absl::Status status = server->Listen(options.listen); !status.ok()) return status;
  return server;
}

}  // namespace tessera
