#include "client/cli/context.h"

#include "absl/time/time.h"

namespace tessera::cli {

Client& Context::client() {
  if (client_ == nullptr) {
    ClientOptions options;
    options.address = options_.server;
    options.timeout = absl::Seconds(options_.timeout_s);
    client_ = std::make_unique<Client>(std::move(options));
  }
  return *client_;
}

void Context::PrintJson(const Json& document) {
  out_ << document.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace tessera::cli
