// What Prometheus reads of a server.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/subprocess.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A connection to 127.0.0.1:port, which the caller closes; -1 if it cannot be made.
int Connect(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.find(':') + 1), &port));
  sockaddr_in server = {};
  server.sin_family = AF_INET;
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server.sin_port = htons(static_cast<uint16_t>(port));
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout = {.tv_sec = 30, .tv_usec = 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  if (connect(connection, reinterpret_cast<const sockaddr*>(&server), sizeof(server)) == 0) {
    return connection;
  }
  close(connection);
  return -1;
}

// The whole answer to a request, with its headers; empty if it cannot be had.
std::string Http(const std::string& address, const std::string& request) {
  const int connection = Connect(address);
  if (connection < 0) return "";
  std::string answer;
  if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    char bytes[4096];
    for (ssize_t read; (read = recv(connection, bytes, sizeof(bytes), 0)) > 0;) {
      answer.append(bytes, static_cast<size_t>(read));
    }
  }
  close(connection);
  return answer;
}

std::string Request(const std::string& method, const std::string& path) {
  return absl::StrCat(method, " ", path, " HTTP/1.0\r\n\r\n");
}

class MetricsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(
        server_,
        ServerProcess::Start({.data_dir = folder_.path(),
                              .flags = {"--metrics_listen=127.0.0.1:0", "--verify_percent=1"}}));
  }

  std::string Page() const { return Http(server_->MetricsAddress(), Request("GET", "/metrics")); }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(MetricsTest, TellsOfCallsAndCollections) {
  Client& client = server_->client();
  v1::CreateCollectionRequest create;
  create.set_collection_name("points");
  create.set_dimension(2);
  ASSERT_OK(client.CreateCollection(create).status());
  v1::UpsertRequest upsert;
  upsert.set_collection_name("points");
  for (uint64_t id = 1; id <= 3; ++id) {
    upsert.mutable_ids()->add_num(id);
    upsert.mutable_vectors()->add_values(static_cast<float>(id));
    upsert.mutable_vectors()->add_values(1);
  }
  ASSERT_OK(client.Upsert(upsert).status());
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK(client.Search(MakeSearch("points", std::vector<float>{1, 1}, 1)).status());
  }
  EXPECT_FALSE(client.Search(MakeSearch("absent", std::vector<float>{1, 1}, 1)).ok());

  const std::string page = Page();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200"));
  for (const char* line :
       {"tessera_ready 1\n", "tessera_calls_total{method=\"Points.Search\",code=\"OK\"} 5\n",
        "tessera_calls_total{method=\"Points.Search\",code=\"NOT_FOUND\"} 1\n",
        "tessera_call_seconds_bucket{method=\"Points.Search\",le=\"+Inf\"} 6\n",
        "tessera_call_seconds_count{method=\"Points.Search\"} 6\n",
        "tessera_calls_total{method=\"Points.Upsert\",code=\"OK\"} 1\n",
        "tessera_collection_points{collection=\"points\"} 3\n",
        "tessera_collection_codebook_version{collection=\"points\"} 0\n",
        "tessera_collection_memory_bytes{collection=\"points\"} ", "tessera_build_info{version=\"",
        "process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  ASSERT_OK(client.DeleteCollection("points"));
  EXPECT_THAT(Page(), Not(HasSubstr("collection=\"points\"")));
}

TEST_F(MetricsTest, TellsTheRecallOfSearches) {
  Client& client = server_->client();
  ASSERT_OK(CreateWordNet(client, "words"));
  ASSERT_OK(LoadWordNet(client, "words", 0, 2'000));
  ASSERT_OK(TrainAndWait(client, "words").status());
  const std::string line = "tessera_collection_verified_recall{collection=\"words\"} ";
  EXPECT_THAT(Page(), Not(HasSubstr(line)));
  std::string page;
  for (int i = 0; i < 600 && !absl::StrContains(page, line); ++i) {
    ASSERT_OK(client.Search(MakeSearch("words", GetWordNet().Floats(i), 10)).status());
    page = Page();
  }
  EXPECT_THAT(page, HasSubstr(line));
  EXPECT_THAT(page, HasSubstr("tessera_collection_verified_recall_error{collection=\"words\"} "));
}

TEST_F(MetricsTest, NothingElseIsThere) {
  const std::string address = server_->MetricsAddress();
  for (const char* path : {"/", "/etc/passwd", "/../../../../etc/passwd", "/%2e%2e/etc/passwd",
                           "/debug", "/log", "/api/v1/query", "*"}) {
    EXPECT_THAT(Http(address, Request("GET", path)), Not(StartsWith("HTTP/1.1 200"))) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "PROPFIND", "MKCOL", "CONNECT"}) {
    EXPECT_THAT(Http(address, Request(method, "/metrics")), Not(StartsWith("HTTP/1.1 200")))
        << method;
  }
  EXPECT_THAT(Http(address, "nonsense\r\n\r\n"), Not(StartsWith("HTTP/1.1 200")));
  EXPECT_THAT(Http(address, std::string(100'000, 'x')), Not(StartsWith("HTTP/1.1 200")));
  EXPECT_THAT(Page(), StartsWith("HTTP/1.1 200"));
}

TEST_F(MetricsTest, StopsWithAClientThatSaysNothing) {
  const int connection = Connect(server_->MetricsAddress());
  ASSERT_GE(connection, 0);
  EXPECT_THAT(Page(), StartsWith("HTTP/1.1 200"));
  ASSERT_OK_AND_ASSIGN(const int exit_code, server_->Terminate());
  EXPECT_EQ(exit_code, 0) << server_->LogTail();
  close(connection);
}

TEST(MetricsFlag, AnAddressThatIsTakenIsAnErrorAtTheStart) {
  TempFolder folder;
  ASSERT_OK_AND_ASSIGN(const auto first,
                       ServerProcess::Start({.data_dir = folder.File("first"),
                                             .flags = {"--metrics_listen=127.0.0.1:0"}}));
  ASSERT_OK_AND_ASSIGN(
      const CommandResult second,
      RunCommand({ServerBinary(), "--data_dir=" + folder.File("second"), "--listen=127.0.0.1:0",
                  "--metrics_listen=" + first->MetricsAddress()}));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, HasSubstr("cannot listen on " + first->MetricsAddress()));
}

}  // namespace
}  // namespace tessera
