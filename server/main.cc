// tesserad: the composition root. Reads the flags, starts listening, opens the store and the
// engine behind the listening server, and takes all of it down again on a signal.

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "index/base/status_macros.h"
#include "server/auth/secrets.h"
#include "server/config/config.h"
#include "server/config/log.h"
#include "server/engine/engine.h"
#include "server/engine/thread_pool_executor.h"
#include "server/http/metrics_server.h"
#include "server/metrics/call_stats.h"
#include "server/rpc/health_client.h"
#include "server/rpc/polling_threads.h"
#include "server/rpc/rpc_server.h"
#include "server/storage/rocksdb_store.h"

namespace tessera {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
constexpr int kBackgroundNice = 5;
constexpr absl::Duration kHealthcheckTimeout = absl::Seconds(2);

// By which a thread has the main one stop. Not one of the signals that others send: of those the
// second ends the process.
constexpr int kOwnStopSignal = SIGUSR1;

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

sigset_t AwaitedSignals() {
  sigset_t signals = StopSignals();
  sigaddset(&signals, kOwnStopSignal);
  return signals;
}

// Keeps them for WaitForStopSignal. Before any thread is started: they inherit it.
void BlockStopSignals() {
  const sigset_t signals = AwaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int WaitForStopSignal() {
  const sigset_t signals = AwaitedSignals();
  int number = 0;
  while (sigwait(&signals, &number) != 0) {
  }
  return number;
}

// From now on a stop signal ends the process at once. A handler and not the default action, which
// the first process of a container does not have.
void DieOnNextStopSignal() {
  struct sigaction action = {};
  action.sa_handler = [](int number) { _exit(128 + number); };
  const sigset_t signals = StopSignals();
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

// Connections and the store's files share what a process may have open, of which a usual soft limit
// is 1,024: gRPC stops to accept connections for good once there are no more, and the store to take
// writes.
void RaiseFileLimit(Log& log) {
  constexpr rlim_t kFilesFew = 4'096;
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < kFilesFew) {
    log.Warning("few files may be open at once", {{"limit", static_cast<int64_t>(files.rlim_max)}});
  }
}

// Opens the engine in a thread of its own, so that the server answers meanwhile.
class Opener {
 public:
  enum class State { kOpening, kOpen, kFailed };

  // `metrics` may be null.
  Opener(const ServerConfig& config, Executor& executor, RpcServer& server, MetricsServer* metrics,
         Log& log)
      : config_(config),
        executor_(executor),
        server_(server),
        metrics_(metrics),
        log_(log),
        thread_([this] { Run(); }) {}

  State state() const { return state_.load(std::memory_order_acquire); }

  // Waits until opening has ended. Null if it failed.
  std::unique_ptr<Engine> Join() {
    thread_.join();
    return std::move(engine_);
  }

 private:
  void Run() {
    const absl::Time start = absl::Now();
    absl::Status status;
    try {
      status = Open();
    } catch (const std::exception& error) {
      status = absl::InternalError(absl::StrCat("exception: ", error.what()));
    }
    if (status.ok()) {
      log_.Info("ready", {{"seconds", absl::ToDoubleSeconds(absl::Now() - start)}});
      state_.store(State::kOpen, std::memory_order_release);
      return;
    }
    log_.Error("cannot open the data", {{"error", status.ToString()}});
    state_.store(State::kFailed, std::memory_order_release);
    kill(getpid(), kOwnStopSignal);
  }

  absl::Status Open() {
    std::error_code error;
    std::filesystem::create_directories(config_.data_dir, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot make ", config_.data_dir, ": ", error.message()));
    }
    log_.Info("recovering", {{"data_dir", config_.data_dir}});
    RocksDbOptions options;
    options.path = std::filesystem::path(config_.data_dir) / "store";
    options.block_cache_bytes = config_.block_cache_bytes;
    options.free_disk_bytes_min = config_.free_disk_bytes_min;
    options.background_threads = static_cast<int>(config_.background_threads);
    options.log = [this](std::string_view message) { log_.Warning(message); };
    ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenRocksDbStore(options));
    EngineOptions engine_options;
    engine_options.snapshot_path = std::filesystem::path(config_.data_dir) / "snapshots";
    engine_options.row_path = std::filesystem::path(config_.data_dir) / "rows";
    engine_options.free_disk_bytes_min = config_.free_disk_bytes_min;
    engine_options.version = TESSERA_VERSION;
    engine_options.search_executor = &server_.search_executor();
    engine_options.verify_core_share = config_.verify_core_share;
    engine_options.log = [this](std::string_view message) { log_.Info(message); };
    ASSIGN_OR_RETURN(engine_, Engine::Open(std::move(store), executor_, engine_options));
    if (metrics_ != nullptr) metrics_->Serve(*engine_);
    server_.Serve(*engine_);
    return absl::OkStatus();
  }

  const ServerConfig& config_;
  Executor& executor_;
  RpcServer& server_;
  MetricsServer* const metrics_;
  Log& log_;
  std::unique_ptr<Engine> engine_;
  std::atomic<State> state_{State::kOpening};
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<Secrets>> OpenSecrets(const ServerConfig& config, Log& log) {
  SecretsOptions options;
  options.api_keys_file = config.api_keys_file;
  options.tls_cert_file = config.tls_cert_file;
  options.tls_key_file = config.tls_key_file;
  options.on_read = [&log](std::string_view message) { log.Info(message); };
  options.on_problem = [&log](std::string_view message) { log.Warning(message); };
  return Secrets::Open(std::move(options));
}

absl::StatusOr<std::unique_ptr<RpcServer>> StartServer(const ServerConfig& config,
                                                       const Secrets& secrets, CallStats& stats,
                                                       Log& log) {
  RpcServerOptions options;
  options.stats = &stats;
  options.secrets = &secrets;
  options.listen = config.listen;
  options.search_threads = config.search_threads;
  options.write_threads = config.write_threads;
  options.on_fault = [&log](std::string_view method, const absl::Status& status) {
    log.Error("call failed", {{"method", method}, {"error", status.ToString()}});
  };
  return RpcServer::Start(options);
}

// Null if there is to be none.
absl::StatusOr<std::unique_ptr<MetricsServer>> StartMetrics(const ServerConfig& config,
                                                            const CallStats& stats, Log& log) {
  if (config.metrics_listen.empty()) return nullptr;
  ASSIGN_OR_RETURN(std::unique_ptr<MetricsServer> server,
                   MetricsServer::Start(config.metrics_listen, TESSERA_VERSION, stats));
  log.Info("metrics", {{"address", config.metrics_listen}, {"port", server->port()}});
  return server;
}

int CannotStart(const absl::Status& status, Log& log) {
  log.Error("cannot start", {{"error", status.ToString()}});
  return kExitFailure;
}

// gRPC would print lines of its own form between ours; what matters in them comes back as a status.
void QuietGrpc() { setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0); }

int Serve(const ServerConfig& config) {
  // Debian builds absl with its search for lock cycles on, which costs a search some microseconds.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  BlockStopSignals();
  Log log(config.log_level, config.log_format);
  log.Info("starting", {{"version", TESSERA_VERSION}, {"pid", getpid()}});
  RaiseFileLimit(log);
  const PollingThreads polling_threads;
  const auto secrets = OpenSecrets(config, log);
  if (!secrets.ok()) return CannotStart(secrets.status(), log);
  CallStats stats;
  auto server = StartServer(config, **secrets, stats, log);
  if (!server.ok()) return CannotStart(server.status(), log);
  log.Info("listening", {{"address", config.listen}, {"port", (*server)->port()}});
  const auto metrics = StartMetrics(config, stats, log);
  if (!metrics.ok()) return CannotStart(metrics.status(), log);
  ThreadPoolExecutor executor(config.background_threads, kBackgroundNice);
  Opener opener(config, executor, **server, metrics->get(), log);

  const int number = WaitForStopSignal();
  // One from outside is the first after our own.
  if (number != kOwnStopSignal) DieOnNextStopSignal();
  if (opener.state() != Opener::State::kFailed) log.Info("stopping", {{"signal", number}});
  (*server)->Shutdown(config.drain);
  if (opener.state() == Opener::State::kOpening) {
    // Recovery only sweeps up, in steps that are whole: it can be left at any point.
    log.Info("stopped while recovering");
    std::_Exit(EXIT_SUCCESS);
  }
  const std::unique_ptr<Engine> engine = opener.Join();
  if (engine == nullptr) return kExitFailure;
  if (*metrics != nullptr) (*metrics)->Stop();
  if (const absl::Status status = engine->Close(); !status.ok()) {
    log.Error("closing failed", {{"error", status.ToString()}});
    return kExitFailure;
  }
  log.Info("stopped");
  return EXIT_SUCCESS;
}

int Healthcheck(const Command& command) {
  const std::string& server = command.server;
  const absl::Status status = CheckHealth(server, kHealthcheckTimeout, command.tls);
  if (status.ok()) return EXIT_SUCCESS;
  std::fprintf(stderr, "tesserad healthcheck: %s: %s\n", server.c_str(), status.ToString().c_str());
  return kExitFailure;
}

std::optional<std::string> FromEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

int Main(const std::vector<std::string>& arguments) {
  QuietGrpc();
  const absl::StatusOr<Command> command = ParseCommand(arguments, FromEnvironment);
  if (!command.ok()) {
    std::fprintf(stderr, "tesserad: %s\nTry tesserad --help.\n",
                 std::string(command.status().message()).c_str());
    return kExitUsage;
  }
  switch (command->kind) {
    case Command::Kind::kHelp:
      std::fputs(HelpText().c_str(), stdout);
      return EXIT_SUCCESS;
    case Command::Kind::kVersion:
      std::puts("tesserad " TESSERA_VERSION);
      return EXIT_SUCCESS;
    case Command::Kind::kHealthcheck:
      return Healthcheck(*command);
    case Command::Kind::kServe:
      return Serve(command->config);
  }
  return kExitUsage;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::Main({argv + 1, argv + argc}); }
