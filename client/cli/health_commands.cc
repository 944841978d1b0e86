// tessera health, tessera version
#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/format.h"
#include "grpcpp/grpcpp.h"

namespace tessera::cli {
namespace {

constexpr absl::Duration kShortestCheck = absl::Milliseconds(100);

struct HealthOptions {
  std::string service;
  double wait_s = 0;
};

struct NoOptions {};

absl::Status RunHealth(Context& context, const HealthOptions& options) {
  const absl::Time deadline = absl::Now() + absl::Seconds(options.wait_s);
  // Between calls nothing drives a connection that is being made, so wait for that first.
  if (options.wait_s > 0) context.client().WaitForConnected(absl::Seconds(options.wait_s));
  // The last one may be short, but long enough to say what is wrong.
  const auto check = [&] {
    return context.client().CheckHealth(
        options.service, options.wait_s > 0 ? std::max(deadline - absl::Now(), kShortestCheck)
                                            : absl::InfiniteDuration());
  };
  absl::Time begin = absl::Now();
  absl::Status status = check();
  while (!status.ok() && absl::Now() < deadline) {
    absl::SleepFor(std::min(absl::Milliseconds(100), deadline - absl::Now()));
    begin = absl::Now();
    status = check();
  }
  if (!status.ok()) return status;
  const double milliseconds = absl::ToDoubleMilliseconds(absl::Now() - begin);
  if (context.json()) {
    context.PrintJson(Json{{"server", context.options().server},
                           {"status", "SERVING"},
                           {"round_trip_ms", milliseconds}});
  } else {
    context.out() << context.options().server << " is serving (answered in "
                  << FormatFixed(milliseconds, 1) << " ms)\n";
  }
  return absl::OkStatus();
}

absl::Status RunVersion(Context& context, const NoOptions&) {
  if (context.json()) {
    context.PrintJson(Json{{"version", TESSERA_VERSION}, {"grpc", grpc::Version()}});
  } else {
    context.out() << "tessera " << TESSERA_VERSION << " (gRPC " << grpc::Version() << ")\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddHealthCommands(CLI::App& app, Command& selected) {
  auto options = std::make_shared<HealthOptions>();
  CLI::App* health = AddCommand(app, "health", "Ask whether the server is serving",
                                "  tessera health\n"
                                "  tessera health --wait 30");
  health->add_option("--service", options->service, "gRPC service; default: the whole server");
  health->add_option("--wait", options->wait_s, "Seconds to wait until it is")
      ->check(CLI::Range(0.0, 1e9));
  Select(health, selected, options, RunHealth);

  CLI::App* version = AddCommand(app, "version", "Print the version of this program",
                                 "  tessera version --output json");
  Select(version, selected, std::make_shared<NoOptions>(), RunVersion);
}

}  // namespace tessera::cli
