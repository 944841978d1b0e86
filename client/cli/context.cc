#include "client/cli/context.h"

namespace tessera::cli {

Client& Context::client() {
  if (client_ == nullptr) client_ = std::make_unique<Client>(client_options_);
  return *client_;
}

void Context::PrintJson(const Json& document) {
  out_ << document.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace tessera::cli
