// The process: command line, environment, health, reflection, signals.
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/subprocess.h"

namespace tessera {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

const std::vector<std::string>& ServiceNames() {
  static const auto& names =
      *new std::vector<std::string>{"tessera.v1.Collections", "tessera.v1.Points",
                                    "tessera.v1.Codebooks", "tessera.v1.Operations"};
  return names;
}

// Local addresses, in the kernel's hexadecimal form, of the sockets that listen on `port`.
std::set<std::string> ListeningAddresses(int port) {
  std::set<std::string> addresses;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string slot, local, remote, state;
      words >> slot >> local >> remote >> state;
      const size_t colon = local.find(':');
      const bool listens = state == "0A";
      if (listens && std::stoi(local.substr(colon + 1), nullptr, 16) == port) {
        addresses.insert(local.substr(0, colon));
      }
    }
  }
  return addresses;
}

TEST(CommandLineTest, PrintsVersionAndHelp) {
  ASSERT_OK_AND_ASSIGN(const CommandResult version, RunCommand({ServerBinary(), "--version"}));
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, testing::ContainsRegex("^tesserad [0-9]+\\.[0-9]+\\.[0-9]+\n$"));
  ASSERT_OK_AND_ASSIGN(const CommandResult help, RunCommand({ServerBinary(), "--help"}));
  EXPECT_EQ(help.exit_code, 0);
  for (const char* flag : {"--listen", "--data_dir", "--flagfile", "TESSERA_", "healthcheck"}) {
    EXPECT_THAT(help.out, HasSubstr(flag));
  }
}

TEST(CommandLineTest, ABadFlagExitsWithTwoAndNamesIt) {
  const TempFolder folder;
  const std::string data_dir = "--data_dir=" + folder.File("data");
  const std::vector<std::pair<std::vector<std::string>, std::string>> lines = {
      {{}, "data_dir"},
      {{data_dir, "--no_such_flag=1"}, "no_such_flag"},
      {{data_dir, "--listen=nonsense"}, "listen"},
      {{data_dir, "--listen=127.0.0.1:70000"}, "listen"},
      {{data_dir, "--listen=0.0.0.0:0"}, "insecure"},
      {{data_dir, "--search_threads=many"}, "search_threads"},
      {{data_dir, "--write_threads=-1"}, "write_threads"},
      {{data_dir, "--block_cache_mb=0"}, "block_cache_mb"},
      {{data_dir, "--log_format=xml"}, "log_format"},
      {{data_dir, "--flagfile=" + folder.File("absent")}, "absent"},
      {{data_dir, "serve"}, "serve"},
      {{"healthcheck", data_dir}, "data_dir"},
  };
  for (const auto& [flags, named] : lines) {
    std::vector<std::string> arguments = {ServerBinary()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ASSERT_OK_AND_ASSIGN(const CommandResult result, RunCommand(arguments));
    EXPECT_EQ(result.exit_code, 2) << named << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr(named));
  }
  EXPECT_FALSE(std::filesystem::exists(folder.File("data")));
  // What the environment says is as wrong as what the command line says.
  ASSERT_OK_AND_ASSIGN(const CommandResult result,
                       RunCommand({ServerBinary(), data_dir}, {{"TESSERA_DRAIN_SECONDS", "soon"}}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("TESSERA_DRAIN_SECONDS"));
}

TEST(CommandLineTest, WhatCannotStartExitsWithOne) {
  const TempFolder folder;
  ASSERT_OK_AND_ASSIGN(auto server, ServerProcess::Start({.data_dir = folder.File("data")}));
  ASSERT_OK_AND_ASSIGN(const CommandResult port_taken,
                       RunCommand({ServerBinary(), "--data_dir=" + folder.File("other"),
                                   "--listen=" + server->address()}));
  EXPECT_EQ(port_taken.exit_code, 1) << port_taken.err;
  EXPECT_THAT(port_taken.err, HasSubstr(server->address()));
  ASSERT_OK_AND_ASSIGN(
      const CommandResult data_taken,
      RunCommand({ServerBinary(), "--data_dir=" + folder.File("data"), "--listen=127.0.0.1:0"}));
  EXPECT_EQ(data_taken.exit_code, 1) << data_taken.err;
  EXPECT_OK(server->client().CheckHealth());
}

TEST(CommandLineTest, ListensOnLoopbackOnlyUnlessToldOtherwise) {
  constexpr int kDefaultPort = 6433;
  if (!ListeningAddresses(kDefaultPort).empty()) {
    GTEST_SKIP() << "port " << kDefaultPort << " is in use on this machine";
  }
  const TempFolder folder;
  ASSERT_OK_AND_ASSIGN(
      auto process,
      Subprocess::Start({.arguments = {ServerBinary(), "--data_dir=" + folder.File("data")},
                         .stdout_path = folder.File("log")}));
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  std::set<std::string> addresses;
  while (addresses.empty() && absl::Now() < deadline && !process->Poll().has_value()) {
    addresses = ListeningAddresses(kDefaultPort);
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_FALSE(addresses.empty()) << ReadWholeFile(folder.File("log"));
  for (const std::string& address : addresses) {
    // 127.0.0.1, also as an IPv6 address that stands for it.
    EXPECT_TRUE(address == "0100007F" || address == "0000000000000000FFFF00000100007F") << address;
  }
}

TEST(CommandLineTest, FlagsComeFromTheEnvironmentAndFromAFile) {
  const TempFolder folder;
  // The harness gives --data_dir and --listen; the command line wins over both other sources.
  WriteWholeFile(folder.File("flags"), "# a comment\n--log_format=text\n--log_level=debug\n");
  ASSERT_OK_AND_ASSIGN(
      auto server,
      ServerProcess::Start({.data_dir = folder.File("data"),
                            .flags = {"--flagfile=" + folder.File("flags")},
                            .environment = {{"TESSERA_LISTEN", "127.0.0.1:1"},
                                            {"TESSERA_DATA_DIR", folder.File("elsewhere")},
                                            {"TESSERA_LOG_FORMAT", "json"}}}));
  EXPECT_TRUE(std::filesystem::exists(folder.File("data")));
  EXPECT_FALSE(std::filesystem::exists(folder.File("elsewhere")));
  EXPECT_THAT(server->Log(), HasSubstr(" listening "));  // and not JSON
  ASSERT_OK(server->Terminate().status());

  ASSERT_OK_AND_ASSIGN(auto process,
                       Subprocess::Start({.arguments = {ServerBinary()},
                                          .environment = {{"TESSERA_LISTEN", "127.0.0.1:0"},
                                                          {"TESSERA_DATA_DIR", folder.File("env")},
                                                          {"TESSERA_LOG_FORMAT", "json"}},
                                          .stdout_path = folder.File("log")}));
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (ReadWholeFile(folder.File("log")).find("\"message\":\"ready\"") == std::string::npos) {
    ASSERT_LT(absl::Now(), deadline) << ReadWholeFile(folder.File("log"));
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_TRUE(std::filesystem::exists(folder.File("env")));
  process->Signal(SIGINT);
  ASSERT_OK_AND_ASSIGN(const int exit_code, process->Wait(absl::Seconds(30)));
  EXPECT_EQ(exit_code, 0);
}

// The data of another server: opening fails about when the signal comes.
TEST(CommandLineTest, ASignalWhileOpeningFailsIsNoSecondOne) {
  const TempFolder folder;
  ASSERT_OK_AND_ASSIGN(auto server, ServerProcess::Start({.data_dir = folder.File("data")}));
  for (int round = 0; round < 10; ++round) {
    const std::string log = folder.File("log" + std::to_string(round));
    ASSERT_OK_AND_ASSIGN(auto process,
                         Subprocess::Start({.arguments = {ServerBinary(), "--listen=127.0.0.1:0",
                                                          "--data_dir=" + folder.File("data")},
                                            .stdout_path = log}));
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (ReadWholeFile(log).find("listening") == std::string::npos) {
      ASSERT_LT(absl::Now(), deadline) << ReadWholeFile(log);
      absl::SleepFor(absl::Microseconds(200));
    }
    process->Signal(SIGTERM);
    ASSERT_OK_AND_ASSIGN(const int exit_code, process->Wait(absl::Seconds(30)));
    EXPECT_TRUE(exit_code == 1 || exit_code == 0) << exit_code;
  }
}

TEST(CommandLineTest, HasAsManyFilesOpenAsItMay) {
  const TempFolder folder;
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit few = {256, files.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  auto server = ServerProcess::Start({.data_dir = folder.File("data")});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_OK(server.status());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 400; ++i) {
    clients.push_back(std::make_unique<Client>(ClientOptions{.address = (*server)->address()}));
    ASSERT_OK(clients.back()->CheckHealth());
  }
}

class RunningServerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = folder_.path()}));
  }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(RunningServerTest, HealthcheckTellsByItsExitCode) {
  const std::string flag = "--server=" + server_->address();
  ASSERT_OK_AND_ASSIGN(const CommandResult up, RunCommand({ServerBinary(), "healthcheck", flag}));
  EXPECT_EQ(up.exit_code, 0) << up.err;
  ASSERT_OK_AND_ASSIGN(
      const CommandResult by_environment,
      RunCommand({ServerBinary(), "healthcheck"}, {{"TESSERA_LISTEN", server_->address()}}));
  EXPECT_EQ(by_environment.exit_code, 0) << by_environment.err;
  ASSERT_OK_AND_ASSIGN(const CommandResult past_a_proxy,
                       RunCommand({ServerBinary(), "healthcheck", flag},
                                  {{"http_proxy", "http://127.0.0.1:1"}, {"no_proxy", ""}}));
  EXPECT_EQ(past_a_proxy.exit_code, 0) << past_a_proxy.err;
  ASSERT_OK_AND_ASSIGN(const CommandResult by_client,
                       RunCommand({CliBinary(), "--server", server_->address(), "health"},
                                  {{"http_proxy", "http://127.0.0.1:1"}, {"no_proxy", ""}}));
  EXPECT_EQ(by_client.exit_code, 0) << by_client.err;
  server_->Kill();
  ASSERT_OK_AND_ASSIGN(const CommandResult down, RunCommand({ServerBinary(), "healthcheck", flag}));
  EXPECT_EQ(down.exit_code, 1);
  EXPECT_THAT(down.err, HasSubstr(server_->address()));
}

TEST_F(RunningServerTest, HealthIsToldForTheServerAndEachService) {
  EXPECT_OK(server_->client().CheckHealth());
  for (const std::string& service : ServiceNames())
    EXPECT_OK(server_->client().CheckHealth(service));
  EXPECT_TRUE(absl::IsNotFound(server_->client().CheckHealth("tessera.v1.Nonsense")));
}

TEST_F(RunningServerTest, WatchTellsThatTheServerStops) {
  auto stub = grpc::health::v1::Health::NewStub(server_->NewChannel());
  grpc::ClientContext context;
  auto reader = stub->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  // Nobody has a call under way: neither the watch nor an idle connection is waited for.
  ASSERT_OK_AND_ASSIGN(const int exit_code, server_->Terminate(absl::Seconds(4)));
  EXPECT_EQ(exit_code, 0) << server_->LogTail();
  bool told = false;
  while (reader->Read(&response)) told |= response.status() == HealthCheckResponse::NOT_SERVING;
  EXPECT_TRUE(told);
  reader->Finish();
}

// As if its machine were gone: the connection stands, and nothing comes.
TEST_F(RunningServerTest, AClientDoesNotWaitForEverForAServerThatIsSilent) {
  ClientOptions options;
  options.address = server_->address();
  options.keepalive = absl::Seconds(10);
  Client client(options);
  const auto stream = client.StartSearchStream();
  v1::SearchRequest search;
  search.set_collection_name("none");
  ASSERT_TRUE(stream->Send(1, search));
  ASSERT_OK_AND_ASSIGN(const SearchStream::Answer answer, stream->Receive());
  EXPECT_TRUE(absl::IsNotFound(answer.response.status())) << answer.response.status();
  server_->Signal(SIGSTOP);
  // It may answer some more before all of its threads have stopped.
  absl::Status end;
  for (uint64_t tag = 2; end.ok() && tag < 1'000; ++tag) {
    stream->Send(tag, search);
    end = stream->Receive().status();
  }
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
  server_->Signal(SIGCONT);
  // It connects again, after a pause.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!client.CheckHealth().ok() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_OK(client.CheckHealth());
}

TEST_F(RunningServerTest, ReflectionListsTheServices) {
  grpc::GenericStub stub(server_->NewChannel());
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(wait());
  // ServerReflectionRequest{list_services: ""}: field 7, an empty string.
  const grpc::Slice bytes(std::string("\x3A\x00", 2));
  call->Write(grpc::ByteBuffer(&bytes, 1), nullptr);
  ASSERT_TRUE(wait());
  grpc::ByteBuffer buffer;
  call->Read(&buffer, nullptr);
  ASSERT_TRUE(wait());
  grpc::Slice answer;
  ASSERT_TRUE(buffer.DumpToSingleSlice(&answer).ok());
  const std::string names(reinterpret_cast<const char*>(answer.begin()), answer.size());
  for (const std::string& service : ServiceNames()) EXPECT_THAT(names, HasSubstr(service));
  EXPECT_THAT(names, HasSubstr("grpc.health.v1.Health"));
  call->WritesDone(nullptr);
  ASSERT_TRUE(wait());
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(wait());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(RunningServerTest, AnUnknownMethodIsUnimplemented) {
  grpc::GenericStub stub(server_->NewChannel());
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer request;
  auto call = stub.PrepareUnaryCall(&context, "/tessera.v1.Points/Nonsense", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace tessera
