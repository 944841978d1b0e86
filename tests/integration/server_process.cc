#include "tests/integration/server_process.h"

#include <signal.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "index/base/status_macros.h"

namespace tessera {
namespace {

constexpr size_t kLogTailBytes = 4'000;

// The port that the log tells in its first line about `what`, or nothing.
std::optional<int> PortOf(const std::string& log, const std::string& what) {
  const size_t line = log.find(absl::StrCat(" ", what, " "));
  const size_t end = log.find('\n', line);
  if (line == std::string::npos || end == std::string::npos) return std::nullopt;
  const std::string text = log.substr(line, end - line);
  const size_t port = text.rfind(" port=");
  if (port == std::string::npos) return std::nullopt;
  return std::stoi(text.substr(port + 6));
}

}  // namespace

std::string ServerBinary() { return TESSERAD_PATH; }
std::string CliBinary() { return TESSERA_CLI_PATH; }

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const Options& options) {
  auto server = std::unique_ptr<ServerProcess>(new ServerProcess());
  server->client_options_ = options.client;
  Subprocess::Options process;
  process.arguments = {ServerBinary(), "--data_dir=" + options.data_dir, "--listen=127.0.0.1:0"};
  process.arguments.insert(process.arguments.end(), options.flags.begin(), options.flags.end());
  process.environment = options.environment;
  process.stdout_path = server->log_.File("log");
  ASSIGN_OR_RETURN(server->process_, Subprocess::Start(process));
  if (options.wait_until_serving) RETURN_IF_ERROR(server->WaitUntilServing());
  return server;
}

absl::Status ServerProcess::WaitUntilServing(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Status health = absl::UnavailableError("it does not listen");
  while (absl::Now() < deadline) {
    if (!running()) {
      return absl::InternalError(absl::StrCat("tesserad ended with exit code ", *process_->Poll(),
                                              " before it served:\n", LogTail()));
    }
    // No call before it listens: a channel that is too early waits for a second to try again.
    const std::optional<int> port = PortOf(Log(), "listening");
    if (port.has_value() && client_ == nullptr) {
      address_ = absl::StrCat("127.0.0.1:", *port);
      client_options_.address = address_;
      client_ = std::make_unique<Client>(client_options_);
    }
    if (client_ != nullptr) {
      health = client_->CheckHealth();
      if (health.ok()) return absl::OkStatus();
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
  return absl::InternalError(absl::StrCat("tesserad does not serve after ",
                                          absl::FormatDuration(timeout), ": ", health.ToString(),
                                          "\n", LogTail()));
}

std::string ServerProcess::MetricsAddress() const {
  return absl::StrCat("127.0.0.1:", PortOf(Log(), "metrics").value_or(0));
}

std::shared_ptr<grpc::Channel> ServerProcess::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
}

absl::StatusOr<int> ServerProcess::Terminate(absl::Duration timeout) {
  process_->Signal(SIGTERM);
  absl::StatusOr<int> exit_code = process_->Wait(timeout);
  if (!exit_code.ok()) Kill();
  return exit_code;
}

void ServerProcess::Kill() {
  process_->Signal(SIGKILL);
  process_->Wait(absl::InfiniteDuration()).IgnoreError();
}

std::string ServerProcess::LogTail() const {
  const std::string log = Log();
  if (log.size() <= kLogTailBytes) return log;
  return absl::StrCat("...", log.substr(log.size() - kLogTailBytes));
}

}  // namespace tessera
