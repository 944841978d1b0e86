// A server with TLS and API keys, as its users meet it: the client library, the CLI, healthcheck.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/error_details.h"
#include "gmock/gmock.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/subprocess.h"
#include "tests/server/auth/test_certificate.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kName[] = "tessera.test";
constexpr char kReader[] = "reader-0123456789";
constexpr char kWriter[] = "writer-0123456789";

class AccessTest : public testing::Test {
 protected:
  void SetUp() override {
    const TestCertificate made = MakeTestCertificate(kName);
    WriteWholeFile(File("cert"), made.certificate);
    WriteWholeFile(File("key"), made.key);
    WriteWholeFile(File("keys"), absl::StrCat("read ", kReader, "\nwrite ", kWriter, "\n"));
    WriteWholeFile(File("reader"), absl::StrCat(kReader, "\n"));
    WriteWholeFile(File("writer"), absl::StrCat(kWriter, "\n"));
    ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = File("data"),
                                                        .flags = {"--api_keys_file=" + File("keys"),
                                                                  "--tls_cert_file=" + File("cert"),
                                                                  "--tls_key_file=" + File("key")},
                                                        .client = ClientOptionsWith(kWriter)}));
  }

  std::string File(const std::string& name) const { return folder_.File(name); }

  ClientOptions ClientOptionsWith(const std::string& key) const {
    ClientOptions options;
    if (server_ != nullptr) options.address = server_->address();
    options.credentials = grpc::SslCredentials({.pem_root_certs = ReadWholeFile(File("cert"))});
    options.tls_name = kName;
    options.api_key = key;
    return options;
  }

  absl::StatusOr<CommandResult> Cli(std::vector<std::string> arguments,
                                    const std::map<std::string, std::string>& environment = {}) {
    arguments.insert(arguments.begin(), {CliBinary(), "--server", server_->address()});
    return RunCommand(arguments, environment);
  }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

// A chunk of points whose vectors are all different.
v1::UpsertRequest Points(uint64_t first_id, uint64_t count) {
  v1::UpsertRequest request;
  for (uint64_t id = first_id; id < first_id + count; ++id) {
    request.mutable_ids()->add_num(id);
    for (uint64_t t = 0; t < 4; ++t) {
      request.mutable_vectors()->add_values(static_cast<float>(id * (t + 7) % 101));
    }
  }
  return request;
}

TEST_F(AccessTest, WriterWritesAndReaderReads) {
  Client& writer = server_->client();
  v1::CreateCollectionRequest create;
  create.set_collection_name("points");
  create.set_dimension(4);
  ASSERT_OK(writer.CreateCollection(create).status());
  const auto stream = writer.StartBulkUpsert({.collection_name = "points"});
  ASSERT_OK(stream->Write(Points(1, 300)));
  ASSERT_OK(stream->Finish());
  ASSERT_OK_AND_ASSIGN(const v1::Operation training, TrainAndWait(writer, "points"));

  Client reader(ClientOptionsWith(kReader));
  ASSERT_OK_AND_ASSIGN(const uint64_t count, reader.CountPoints("points"));
  EXPECT_EQ(count, 300u);
  EXPECT_OK(reader.WaitOperation(training.operation_id(), nullptr).status());
  ASSERT_OK_AND_ASSIGN(const std::string codebook, ExportCodebook(reader, "points"));
  EXPECT_FALSE(codebook.empty());
  const auto searches = reader.StartSearchStream();
  ASSERT_TRUE(searches->Send(1, MakeSearch("points", std::vector<float>{1, 2, 3, 4}, 1)));
  ASSERT_OK_AND_ASSIGN(const SearchStream::Answer answer, searches->Receive());
  EXPECT_OK(answer.response.status());

  const auto refused = reader.StartBulkUpsert({.collection_name = "points"});
  refused->Write(Points(1'000, 1)).IgnoreError();
  const absl::Status status = refused->Finish();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_EQ(GetErrorDetails(status).reason, "READ_ONLY_API_KEY");
  EXPECT_TRUE(absl::IsPermissionDenied(ImportCodebook(reader, "points", codebook).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(reader.DeleteCollection("points")));
  ASSERT_OK_AND_ASSIGN(const uint64_t after, writer.CountPoints("points"));
  EXPECT_EQ(after, 300u);
}

TEST_F(AccessTest, WithoutItsKeyAClientIsToldWhatToDo) {
  const std::string not_ascii = "k\xc3\xa9y-0123456789abcd";
  for (const std::string& key : {std::string(), not_ascii}) {
    Client client(ClientOptionsWith(key));
    const absl::Status status = client.CountPoints("points").status();
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
    EXPECT_EQ(GetErrorDetails(status).reason, "API_KEY_MISSING");
    EXPECT_OK(client.CheckHealth());
  }
}

TEST_F(AccessTest, CliConnectsByItsOptionsOrByTheEnvironment) {
  ASSERT_OK_AND_ASSIGN(const CommandResult created,
                       Cli({"--tls-ca", File("cert"), "--tls-name", kName, "--api-key-file",
                            File("writer"), "collection", "create", "points", "--dimension", "4"}));
  EXPECT_EQ(created.exit_code, 0) << created.err;
  const std::map<std::string, std::string> by_environment = {
      {"TESSERA_TLS_CA", File("cert")}, {"TESSERA_TLS_NAME", kName}, {"TESSERA_API_KEY", kReader}};
  ASSERT_OK_AND_ASSIGN(const CommandResult listed, Cli({"collection", "list"}, by_environment));
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out, HasSubstr("points"));
  ASSERT_OK_AND_ASSIGN(const CommandResult refused,
                       Cli({"collection", "delete", "points"}, by_environment));
  EXPECT_EQ(refused.exit_code, 6);
  EXPECT_THAT(refused.err, HasSubstr("READ_ONLY_API_KEY"));
  // A file goes before the environment.
  ASSERT_OK_AND_ASSIGN(
      const CommandResult deleted,
      Cli({"collection", "delete", "points", "--api-key-file", File("writer")}, by_environment));
  EXPECT_EQ(deleted.exit_code, 0) << deleted.err;
}

TEST_F(AccessTest, CliRefusesWhatCannotBeAKeyOrACertificate) {
  const std::vector<std::string> list = {"collection", "list"};
  ASSERT_OK_AND_ASSIGN(const CommandResult plain, Cli(list));
  EXPECT_EQ(plain.exit_code, 5) << plain.err;
  ASSERT_OK_AND_ASSIGN(const CommandResult no_key,
                       Cli({"collection", "list", "--tls-ca", File("cert"), "--tls-name", kName}));
  EXPECT_EQ(no_key.exit_code, 6);
  EXPECT_THAT(no_key.err, HasSubstr("API_KEY_MISSING"));
  ASSERT_OK_AND_ASSIGN(const CommandResult two_keys,
                       Cli({"collection", "list", "--api-key-file", File("keys")}));
  EXPECT_EQ(two_keys.exit_code, 3);
  EXPECT_THAT(two_keys.err, AllOf(HasSubstr(File("keys")), Not(HasSubstr(kWriter))));
  ASSERT_OK_AND_ASSIGN(const CommandResult absent,
                       Cli({"collection", "list", "--tls-ca", File("absent")}));
  EXPECT_EQ(absent.exit_code, 3);
  ASSERT_OK_AND_ASSIGN(const CommandResult no_certificate,
                       Cli({"collection", "list", "--tls-ca", File("reader")}));
  EXPECT_EQ(no_certificate.exit_code, 3);
  ASSERT_OK_AND_ASSIGN(const CommandResult no_tls,
                       Cli({"collection", "list", "--tls-name", kName}));
  EXPECT_EQ(no_tls.exit_code, 2);
  ASSERT_OK_AND_ASSIGN(const CommandResult blank, Cli(list, {{"TESSERA_API_KEY", "a b"}}));
  EXPECT_EQ(blank.exit_code, 2);
  EXPECT_THAT(blank.err, Not(HasSubstr("a b")));
}

TEST_F(AccessTest, HealthcheckAndHealthNeedNoKey) {
  ASSERT_OK_AND_ASSIGN(const CommandResult check,
                       RunCommand({ServerBinary(), "healthcheck", "--server=" + server_->address(),
                                   "--tls_cert_file=" + File("cert")}));
  EXPECT_EQ(check.exit_code, 0) << check.err;
  ASSERT_OK_AND_ASSIGN(const CommandResult health,
                       Cli({"health", "--tls-ca", File("cert"), "--tls-name", kName}));
  EXPECT_EQ(health.exit_code, 0) << health.err;
}

TEST_F(AccessTest, TheLogTellsOfTheFilesAndOfNoSecret) {
  Client stranger(ClientOptionsWith("stranger-0123456789"));
  EXPECT_FALSE(stranger.CountPoints("points").ok());
  EXPECT_THAT(server_->Log(), HasSubstr(File("keys") + ": 2 API keys"));
  EXPECT_THAT(server_->Log(), HasSubstr(File("cert") + ": a certificate that is valid until 2"));
  for (const char* secret : {kReader, kWriter, "stranger-", "PRIVATE KEY"}) {
    EXPECT_THAT(server_->Log(), Not(HasSubstr(secret)));
  }
}

TEST_F(AccessTest, AServerWithoutItsFilesDoesNotStart) {
  WriteWholeFile(File("keys"), "read " + std::string(kReader));
  WriteWholeFile(File("wrong"), std::string(kReader));
  ASSERT_OK_AND_ASSIGN(const CommandResult wrong,
                       RunCommand({ServerBinary(), "--data_dir=" + File("other"),
                                   "--listen=127.0.0.1:0", "--api_keys_file=" + File("wrong")}));
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, AllOf(HasSubstr(File("wrong") + ": line 1"), Not(HasSubstr(kReader))));
  ASSERT_OK_AND_ASSIGN(
      const CommandResult absent,
      RunCommand({ServerBinary(), "--data_dir=" + File("other"), "--listen=127.0.0.1:0",
                  "--tls_cert_file=" + File("cert"), "--tls_key_file=" + File("absent")}));
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_THAT(absent.err, HasSubstr(File("absent")));
}

}  // namespace
}  // namespace tessera
