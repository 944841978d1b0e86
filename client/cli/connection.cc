#include "client/cli/connection.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/exit_code.h"
#include "client/cli/files/raw_file.h"
#include "grpcpp/security/credentials.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr char kKeyVariable[] = "TESSERA_API_KEY";

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const auto file = RawFile::Open(path);
  if (!file.ok()) return InputFileError(file.status());
  const uint64_t size = (*file)->size();
  if (size > limits::kAuthFileBytesMax) {
    return InputFileError((*file)->Annotate(absl::InvalidArgumentError(
        absl::StrCat("has more than ", limits::kAuthFileBytesMax, " bytes"))));
  }
  std::string bytes;
  if (absl::Status status = (*file)->Read(0, size, &bytes); !status.ok()) {
    return InputFileError(status);
  }
  return bytes;
}

// Of what gRPC can send.
bool IsKey(std::string_view text) {
  return !text.empty() && text.size() <= limits::kApiKeyBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// Empty if there is none.
absl::StatusOr<std::string> ReadKey(const std::string& path) {
  if (path.empty()) {
    const char* value = std::getenv(kKeyVariable);
    std::string key = value == nullptr ? "" : value;
    if (!key.empty() && !IsKey(key)) {
      return UsageError(absl::StrCat(kKeyVariable, " in the environment is not an API key"));
    }
    return key;
  }
  ASSIGN_OR_RETURN(std::string key, ReadSmallFile(path));
  absl::StripAsciiWhitespace(&key);
  if (!IsKey(key)) {
    return InputFileError(
        absl::InvalidArgumentError(absl::StrCat(path, " does not hold one API key and no more")));
  }
  return key;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ReadTls(const GlobalOptions& options) {
  grpc::SslCredentialsOptions tls;
  if (!options.tls_ca.empty()) {
    ASSIGN_OR_RETURN(tls.pem_root_certs, ReadSmallFile(options.tls_ca));
    if (!absl::StrContains(tls.pem_root_certs, "-----BEGIN CERTIFICATE-----")) {
      return InputFileError(absl::InvalidArgumentError(
          absl::StrCat(options.tls_ca, " is not one or more certificates as PEM")));
    }
  }
  return grpc::SslCredentials(tls);
}

}  // namespace

void AddConnectionOptions(CLI::App& app, GlobalOptions& options) {
  app.add_option("--server", options.server, "Address of the server, host:port")
      ->envname("TESSERA_SERVER")
      ->capture_default_str();
  app.add_flag("--tls", options.tls, "Encrypt, with a server whose certificate the system trusts")
      ->envname("TESSERA_TLS");
  app.add_option(
         "--tls-ca", options.tls_ca,
         "Encrypt, with a server whose certificate is one of this PEM file, or signed by one")
      ->envname("TESSERA_TLS_CA");
  app.add_option("--tls-name", options.tls_name,
                 "Name that the server's certificate is to have instead of the address's")
      ->envname("TESSERA_TLS_NAME");
  app.add_option("--api-key-file", options.api_key_file,
                 absl::StrCat("File that holds the API key; default: the key is that of ",
                              kKeyVariable, " in the environment"))
      ->envname("TESSERA_API_KEY_FILE");
}

absl::StatusOr<ClientOptions> ToClientOptions(const GlobalOptions& options) {
  ClientOptions client;
  client.address = options.server;
  client.timeout = absl::Seconds(options.timeout_s);
  client.tls_name = options.tls_name;
  if (options.tls || !options.tls_ca.empty()) {
    ASSIGN_OR_RETURN(client.credentials, ReadTls(options));
  } else if (!options.tls_name.empty()) {
    return UsageError("--tls-name needs --tls or --tls-ca");
  }
  ASSIGN_OR_RETURN(client.api_key, ReadKey(options.api_key_file));
  return client;
}

}  // namespace tessera::cli
