// Encryption, and certificates that change while calls run.
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "grpcpp/security/credentials.h"
#include "server/rpc/health_client.h"
#include "tests/server/auth/replace_file.h"
#include "tests/server/auth/test_certificate.h"
#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr char kName[] = "tessera.test";

class TlsTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    server_.reset();
    Install(SignTestCertificate(kName, authority_));
    SecretsOptions options;
    options.tls_cert_file = directory_ + "/cert";
    options.tls_key_file = directory_ + "/key";
    options.interval = absl::Milliseconds(5);
    auto secrets = Secrets::Open(options);
    ASSERT_TRUE(secrets.ok()) << secrets.status();
    secrets_ = *std::move(secrets);
    StartServer();
    server_->Serve(*engine_);
    Create("words", 4);
  }

  void Install(const TestCertificate& made) {
    for (const auto& [name, text] : {std::pair("cert", made.certificate), {"key", made.key}}) {
      ReplaceFile(absl::StrCat(directory_, "/", name), text);
    }
  }

  // A connection of its own each time. Empty `roots`: plain text.
  std::shared_ptr<grpc::Channel> Connect(const std::string& roots,
                                         const std::string& name = kName) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    if (roots.empty()) {
      return grpc::CreateCustomChannel(Address(), grpc::InsecureChannelCredentials(), arguments);
    }
    arguments.SetSslTargetNameOverride(name);
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = roots;
    return grpc::CreateCustomChannel(Address(), grpc::SslCredentials(options), arguments);
  }

  static grpc::Status Count(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(1)));
    v1::CountRequest request;
    request.set_collection_name("words");
    v1::CountResponse response;
    return v1::Points::NewStub(channel)->Count(&context, request, &response);
  }

  // Whether the server shakes hands with a client of no later version.
  bool TakesVersion(int version) const {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);  // else this side would refuse the old versions itself
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, version);
    const unsigned char kHttp2[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context, kHttp2, sizeof(kHttp2));
    BIO* connection = BIO_new_ssl_connect(context);
    BIO_set_conn_hostname(connection, Address().c_str());
    const bool taken = BIO_do_handshake(connection) == 1;
    BIO_free_all(connection);
    SSL_CTX_free(context);
    return taken;
  }

  const TestCertificate authority_ = MakeTestAuthority("authority");
};

TEST_F(TlsTest, AnswersWhoTrustsTheAuthorityOrTheCertificateItself) {
  EXPECT_TRUE(Count(Connect(authority_.certificate)).ok());
  EXPECT_TRUE(Count(Connect(secrets_->identity()->certificate_chain)).ok());
}

TEST_F(TlsTest, ClientsRefuseAnotherAuthorityNameOrTime) {
  const auto code = [](const grpc::Status& status) { return status.error_code(); };
  EXPECT_EQ(code(Count(Connect(MakeTestAuthority("authority").certificate))),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(code(Count(Connect(authority_.certificate, "other.test"))),
            grpc::StatusCode::UNAVAILABLE);
  const auto before = secrets_->identity();
  const TestCertificate expired = MakeTestCertificate(kName, absl::Now() - absl::Hours(48));
  Install(expired);
  while (secrets_->identity() == before) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_EQ(code(Count(Connect(expired.certificate))), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, PlainTextIsNotAnswered) {
  EXPECT_EQ(Count(Connect("")).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(CheckHealth(Address(), absl::Seconds(30)).ok());
}

TEST_F(TlsTest, HealthcheckNeedsNoAuthority) {
  EXPECT_TRUE(CheckHealth(Address(), absl::Seconds(30), /*tls=*/true).ok());
}

TEST_F(TlsTest, TakesVersion12AndLater) {
  EXPECT_FALSE(TakesVersion(TLS1_VERSION));
  EXPECT_FALSE(TakesVersion(TLS1_1_VERSION));
  EXPECT_TRUE(TakesVersion(TLS1_2_VERSION));
  EXPECT_TRUE(TakesVersion(TLS1_3_VERSION));
}

TEST_F(TlsTest, NoCallIsLostWhileCertificatesChange) {
  const std::shared_ptr<grpc::Channel> old = Connect(authority_.certificate);
  ASSERT_TRUE(Count(old).ok());
  std::atomic<bool> stop{false};
  std::atomic<int> calls{0};
  std::atomic<int> lost{0};
  std::thread caller([&] {
    // On the connection that is there, and on one that is made in the midst of it.
    while (!stop) {
      for (const auto& channel : {old, Connect(authority_.certificate)}) {
        ++calls;
        if (!Count(channel).ok()) ++lost;
      }
    }
  });
  for (int i = 0; i < 10; ++i) {
    const auto before = secrets_->identity();
    Install(SignTestCertificate(kName, authority_));
    while (secrets_->identity() == before) absl::SleepFor(absl::Milliseconds(1));
    const int seen = calls;
    while (calls < seen + 4) absl::SleepFor(absl::Milliseconds(1));
  }
  stop = true;
  caller.join();
  EXPECT_EQ(lost, 0);

  // New connections see the new certificate, and the old one goes on.
  const auto before = secrets_->identity();
  const TestCertificate other = MakeTestCertificate(kName);
  Install(other);
  while (secrets_->identity() == before) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_TRUE(Count(Connect(other.certificate)).ok());
  EXPECT_FALSE(Count(Connect(authority_.certificate)).ok());
  EXPECT_TRUE(Count(old).ok());
}

}  // namespace
}  // namespace tessera
