#include "server/rpc/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tessera {
namespace {

// gRPC's C API asks for the certificate at each handshake. The C++ API wraps that in no class; its
// FileWatcherCertificateProvider, which is experimental, takes a certificate without its key while
// the two files are being renewed, and refuses handshakes until it looks again.
class TlsCredentials final : public grpc::ServerCredentials {
 public:
  explicit TlsCredentials(const Secrets& secrets)
      : secrets_(secrets),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, &TlsCredentials::Fetch, this))) {}
  ~TlsCredentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  // Any thread of gRPC's. The configuration is gRPC's when this returns.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<TlsCredentials*>(self)->FetchChanged(config);
  }

  grpc_ssl_certificate_config_reload_status FetchChanged(
      grpc_ssl_server_certificate_config** config) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const std::shared_ptr<const TlsIdentity> identity = secrets_.identity();
    if (identity == fetched_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {identity->private_key.c_str(),
                                             identity->certificate_chain.c_str()};
    // Clients are asked for no certificate; gRPC insists on authorities for them all the same.
    const char* const unused_roots = identity->certificate_chain.c_str();
    *config = grpc_ssl_server_certificate_config_create(unused_roots, &pair, 1);
    fetched_ = identity;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const Secrets& secrets_;
  absl::Mutex mutex_;
  std::shared_ptr<const TlsIdentity> fetched_ ABSL_GUARDED_BY(mutex_);
  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(const Secrets& secrets) {
  return std::make_shared<TlsCredentials>(secrets);
}

}  // namespace tessera
