#ifndef TESSERA_CLIENT_CLI_CONTEXT_H_
#define TESSERA_CLIENT_CLI_CONTEXT_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "client/cpp/client.h"
#include "nlohmann/json.hpp"

namespace tessera::cli {

using Json = nlohmann::ordered_json;

// The options that every command has.
struct GlobalOptions {
  std::string server = "127.0.0.1:6433";
  bool tls = false;
  std::string tls_ca;
  std::string tls_name;
  std::string api_key_file;
  std::string output = "table";  // or "json"
  double timeout_s = 60;
};

// What a command works with: the server, and where its output goes. Thread-compatible.
class Context {
 public:
  // The streams must outlive the context. `columns`: of the terminal that err is; 0 if it is none.
  Context(GlobalOptions options, ClientOptions client_options, std::ostream& out, std::ostream& err,
          size_t columns)
      : options_(std::move(options)),
        client_options_(std::move(client_options)),
        out_(out),
        err_(err),
        columns_(columns) {}

  // Connects lazily, so that commands which need no server, or find their files at fault, do not.
  Client& client();

  const GlobalOptions& options() const { return options_; }
  bool json() const { return options_.output == "json"; }
  size_t columns() const { return columns_; }
  std::ostream& out() { return out_; }  // results
  std::ostream& err() { return err_; }  // progress and errors

  // Prints the one document of a command's result. Text that is not UTF-8 is repaired.
  void PrintJson(const Json& document);

  // More members for the "error" object that --output json prints if the command fails.
  Json& error_fields() { return error_fields_; }

 private:
  const GlobalOptions options_;
  const ClientOptions client_options_;
  std::ostream& out_;
  std::ostream& err_;
  const size_t columns_;
  std::unique_ptr<Client> client_;
  Json error_fields_ = Json::object();
};

// What runs once the command line is parsed.
using Command = std::function<absl::Status(Context& context)>;

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_CONTEXT_H_
