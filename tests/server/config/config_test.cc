#include "server/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/flags/reflection.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  absl::StatusOr<Command> Parse(const std::vector<std::string>& arguments) {
    const absl::FlagSaver saver;  // each call starts with the defaults
    return ParseCommand(arguments, [this](const std::string& name) -> std::optional<std::string> {
      const auto at = environment_.find(name);
      if (at == environment_.end()) return std::nullopt;
      return at->second;
    });
  }

  std::string Message(const std::vector<std::string>& arguments) {
    const auto command = Parse(arguments);
    EXPECT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(command.status().message());
  }

  std::string WriteFlagFile(const std::string& text) {
    const std::string path = ::testing::TempDir() + "config_test.flags";
    std::ofstream(path) << text;
    return path;
  }

  std::map<std::string, std::string> environment_;
};

TEST_F(ConfigTest, HasSafeDefaults) {
  const auto command = Parse({"--data_dir=/data"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->kind, Command::Kind::kServe);
  EXPECT_EQ(command->config.listen, "127.0.0.1:6433");
  EXPECT_EQ(command->config.data_dir, "/data");
  EXPECT_GE(command->config.search_threads, 1u);
  EXPECT_GE(command->config.background_threads, 1u);
  EXPECT_EQ(command->config.block_cache_bytes, size_t{64} << 20);
  EXPECT_EQ(command->config.verify_core_share, 0);
  EXPECT_EQ(command->config.free_disk_bytes_min, size_t{128} << 20);
  EXPECT_EQ(command->config.drain, absl::Seconds(10));
  EXPECT_EQ(command->config.log_format, LogFormat::kText);
}

TEST_F(ConfigTest, ReadsEveryForm) {
  const auto command =
      Parse({"-data_dir", "/data", "--insecure", "--listen=0.0.0.0:1", "--search-threads=3",
             "--log_format=json", "--log_level", "debug", "--verify_percent=5"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->config.data_dir, "/data");
  EXPECT_EQ(command->config.listen, "0.0.0.0:1");
  EXPECT_EQ(command->config.search_threads, 3u);
  EXPECT_DOUBLE_EQ(command->config.verify_core_share, 0.05);
  EXPECT_EQ(command->config.log_format, LogFormat::kJson);
  EXPECT_EQ(command->config.log_level, LogLevel::kDebug);
}

TEST_F(ConfigTest, CommandLineWinsOverFileWinsOverEnvironment) {
  environment_["TESSERA_DATA_DIR"] = "/environment";
  environment_["TESSERA_DRAIN_SECONDS"] = "1";
  environment_["TESSERA_WRITE_THREADS"] = "7";
  const std::string path = WriteFlagFile("# a comment\n\n--drain_seconds=2\n--data_dir=/file\n");
  // The file stands last and is still weaker than the command line.
  const auto command = Parse({"--data_dir=/command", "--flagfile=" + path});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->config.data_dir, "/command");
  EXPECT_EQ(command->config.drain, absl::Seconds(2));
  EXPECT_EQ(command->config.write_threads, 7u);
}

TEST_F(ConfigTest, RefusesAnOpenAddressUnlessTold) {
  EXPECT_THAT(Message({"--data_dir=/d", "--listen=0.0.0.0:6433"}), HasSubstr("--insecure"));
  environment_["TESSERA_LISTEN"] = "0.0.0.0:6433";
  EXPECT_THAT(Message({"--data_dir=/d"}), HasSubstr("--insecure"));
  environment_["TESSERA_INSECURE"] = "true";
  EXPECT_TRUE(Parse({"--data_dir=/d"}).ok());
  EXPECT_THAT(Message({"--data_dir=/d", "--noinsecure"}), HasSubstr("--insecure"));
}

TEST_F(ConfigTest, TakesAnOpenAddressThatIsSafe) {
  const std::vector<std::string> open = {"--data_dir=/d", "--listen=0.0.0.0:6433"};
  const auto with = [&open](std::vector<std::string> more) {
    more.insert(more.begin(), open.begin(), open.end());
    return more;
  };
  EXPECT_THAT(Message(with({"--api_keys_file=/k"})), HasSubstr("--tls_cert_file"));
  EXPECT_THAT(Message(with({"--tls_cert_file=/c", "--tls_key_file=/p"})),
              HasSubstr("--api_keys_file"));
  const auto command =
      Parse(with({"--api_keys_file=/k", "--tls_cert_file=/c", "--tls_key_file=/p"}));
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->config.api_keys_file, "/k");
  EXPECT_EQ(command->config.tls_cert_file, "/c");
  EXPECT_EQ(command->config.tls_key_file, "/p");
}

TEST_F(ConfigTest, ACertificateAndItsKeyComeTogether) {
  EXPECT_THAT(Message({"--data_dir=/d", "--tls_cert_file=/c"}), HasSubstr("--tls_key_file:"));
  EXPECT_THAT(Message({"--data_dir=/d", "--tls_key_file=/p"}), HasSubstr("--tls_cert_file:"));
}

TEST_F(ConfigTest, SaysWhichFlagIsWrong) {
  EXPECT_THAT(Message({}), HasSubstr("--data_dir: is required"));
  EXPECT_THAT(Message({"--data_dir=/d", "--listen=nowhere"}), HasSubstr("--listen: 'nowhere'"));
  EXPECT_THAT(Message({"--data_dir=/d", "--metrics_listen=9464"}),
              HasSubstr("--metrics_listen: '9464'"));
  EXPECT_THAT(Message({"--data_dir=/d", "--log_level=loud"}), HasSubstr("--log_level: 'loud'"));
  EXPECT_THAT(Message({"--data_dir=/d", "--log_format=xml"}), HasSubstr("--log_format: 'xml'"));
  EXPECT_THAT(Message({"--data_dir=/d", "--search_threads=-1"}), HasSubstr("--search_threads"));
  EXPECT_THAT(Message({"--data_dir=/d", "--write_threads=0"}), HasSubstr("--write_threads"));
  EXPECT_THAT(Message({"--data_dir=/d", "--block_cache_mb=0"}), HasSubstr("--block_cache_mb"));
  EXPECT_THAT(Message({"--data_dir=/d", "--verify_percent=101"}), HasSubstr("must be 0 to 100"));
  EXPECT_THAT(Message({"--data_dir=/d", "--drain_seconds=3601"}), HasSubstr("must be 0 to 3600"));
  EXPECT_THAT(Message({"--data_dir=/d", "--search_threads=many"}), HasSubstr("'many'"));
  EXPECT_THAT(Message({"--data_dri=/d"}), HasSubstr("--data_dri"));
  EXPECT_THAT(Message({"--data_dri", "/d"}), HasSubstr("--data_dri"));
  EXPECT_THAT(Message({"--data_dir"}), HasSubstr("needs a value"));
  EXPECT_THAT(Message({"--server=a:1", "--data_dir=/d"}), HasSubstr("--server"));
  EXPECT_THAT(Message({"serve"}), HasSubstr("'serve'"));
}

TEST_F(ConfigTest, SaysWhereAWrongValueCameFrom) {
  environment_["TESSERA_WRITE_THREADS"] = "x";
  EXPECT_THAT(Message({"--data_dir=/d"}), HasSubstr("TESSERA_WRITE_THREADS: 'x'"));
  environment_.clear();
  const std::string path = WriteFlagFile("--data_dir=/d\n--nonsense=1\n");
  EXPECT_THAT(Message({"--flagfile=" + path}), HasSubstr(path + ":2"));
  WriteFlagFile("data_dir=/d\n");
  EXPECT_THAT(Message({"--flagfile=" + path}), HasSubstr(path + ":1"));
  EXPECT_EQ(Parse({"--flagfile=/no/such/file"}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ConfigTest, HealthcheckAsksWhereTheServerListens) {
  environment_["TESSERA_LISTEN"] = "0.0.0.0:7000";
  auto command = Parse({"healthcheck"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->kind, Command::Kind::kHealthcheck);
  EXPECT_EQ(command->server, "127.0.0.1:7000");
  command = Parse({"healthcheck", "--server=10.0.0.9:1"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->server, "10.0.0.9:1");
  EXPECT_FALSE(command->tls);
  environment_["TESSERA_TLS_CERT_FILE"] = "/c";
  command = Parse({"healthcheck"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_TRUE(command->tls);
}

TEST_F(ConfigTest, HelpNamesEveryFlag) {
  EXPECT_EQ(Parse({"--help"})->kind, Command::Kind::kHelp);
  EXPECT_EQ(Parse({"--version"})->kind, Command::Kind::kVersion);
  const std::string help = HelpText();
  EXPECT_THAT(help, HasSubstr("Each flag but --flagfile can also be set in the environment"));
  for (const char* flag :
       {"--listen=127.0.0.1:6433", "--data_dir=", "--log_level=", "--log_format=",
        "--search_threads=", "--write_threads=", "--background_threads=", "--block_cache_mb=",
        "--verify_percent=", "--free_disk_mb_min=", "--drain_seconds=", "--insecure",
        "--api_keys_file=", "--tls_cert_file=", "--tls_key_file=", "--metrics_listen=",
        "--flagfile=", "--server=", "TESSERA_DATA_DIR"}) {
    EXPECT_THAT(help, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace tessera
