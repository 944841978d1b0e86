#ifndef TESSERA_TESTS_INTEGRATION_SERVER_PROCESS_H_
#define TESSERA_TESTS_INTEGRATION_SERVER_PROCESS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/client.h"
#include "grpcpp/channel.h"
#include "tests/integration/subprocess.h"

namespace tessera {

// The real tesserad as a child process on a free port of the loopback interface.
//
// Thread-compatible, but client() may be used by many threads. The destructor kills the process.
class ServerProcess {
 public:
  struct Options {
    std::string data_dir;                            // must outlive the process
    std::vector<std::string> flags;                  // beside --listen and --data_dir
    std::map<std::string, std::string> environment;  // beside ours
    bool wait_until_serving = true;
    ClientOptions client;  // how client() connects; the address is the server's
  };

  // INTERNAL, with the server's log, if it ends or does not serve in time.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const Options& options);

  // Waits until the health service says SERVING: before that there is no client and no address.
  absl::Status WaitUntilServing(absl::Duration timeout = absl::Seconds(60));

  Client& client() { return *client_; }
  const std::string& address() const { return address_; }
  // Where it answers Prometheus, "127.0.0.1:port", with the flag --metrics_listen=127.0.0.1:0.
  std::string MetricsAddress() const;
  // Plain gRPC without the client library and without its limits on messages.
  std::shared_ptr<grpc::Channel> NewChannel() const;

  // SIGTERM, and the exit code. DEADLINE_EXCEEDED, and the process killed, if it does not end.
  absl::StatusOr<int> Terminate(absl::Duration timeout = absl::Seconds(30));
  // SIGKILL; returns when the process is gone.
  void Kill();
  // SIGSTOP and SIGCONT: a server that does not answer for a while.
  void Signal(int signal) { process_->Signal(signal); }
  bool running() { return !process_->Poll().has_value(); }

  std::string Log() const { return ReadWholeFile(log_.File("log")); }
  // The log's last lines, to be printed with a failure.
  std::string LogTail() const;

 private:
  ServerProcess() = default;

  TempFolder log_;
  std::string address_;
  ClientOptions client_options_;
  std::unique_ptr<Subprocess> process_;
  std::unique_ptr<Client> client_;
};

// Paths of the programs under test.
std::string ServerBinary();
std::string CliBinary();

}  // namespace tessera

#endif  // TESSERA_TESTS_INTEGRATION_SERVER_PROCESS_H_
