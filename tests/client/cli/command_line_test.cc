// Command lines run inside the test's process, without a server: what they print and return.
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/cli.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Outcome {
  int code;
  std::string out, err;
};

// No server listens on port 1, so that whatever needs one fails at once.
Outcome RunLine(std::vector<std::string> arguments) {
  std::ostringstream out, err;
  arguments.insert(arguments.begin(), "--server=127.0.0.1:1");
  const int code = RunCli(arguments, out, err, /*columns=*/0);
  return {code, out.str(), err.str()};
}

TEST(CommandLine, EveryCommandHasHelpWithExamples) {
  const std::vector<std::vector<std::string>> commands = {{"collection", "create"},
                                                          {"collection", "list"},
                                                          {"collection", "get"},
                                                          {"collection", "delete"},
                                                          {"load"},
                                                          {"train"},
                                                          {"search"},
                                                          {"eval"},
                                                          {"points", "get"},
                                                          {"points", "delete"},
                                                          {"points", "count"},
                                                          {"points", "scroll"},
                                                          {"index", "create"},
                                                          {"index", "drop"},
                                                          {"facet"},
                                                          {"codebook", "list"},
                                                          {"codebook", "get"},
                                                          {"codebook", "export"},
                                                          {"codebook", "import"},
                                                          {"operation", "list"},
                                                          {"operation", "get"},
                                                          {"operation", "watch"},
                                                          {"operation", "cancel"},
                                                          {"health"},
                                                          {"version"}};
  for (std::vector<std::string> command : commands) {
    command.push_back("--help");
    const Outcome outcome = RunLine(command);
    EXPECT_EQ(outcome.code, 0) << command[0];
    EXPECT_THAT(outcome.out, HasSubstr("Examples:\n  tessera " + command[0]));
    EXPECT_THAT(outcome.err, IsEmpty());
  }
  EXPECT_THAT(RunLine({"--help"}).out, HasSubstr("Exit codes: 0 ok"));
}

TEST(CommandLine, WrongOnesReturnTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"nonsense"},
      {"collection"},
      {"collection", "nonsense"},
      {"collection", "create"},
      {"collection", "create", "x"},
      {"collection", "create", "x", "--dimension", "0"},
      {"collection", "create", "x", "--dimension", "99999999"},
      {"collection", "create", "x", "--dimension", "8", "--metric", "hamming"},
      {"collection", "create", "x", "--dimension", "8", "--nbits", "5"},
      {"load", "x"},
      {"load", "x", "y.npy", "--batch", "0"},
      {"load", "x", "y.npy", "--format", "hdf5"},
      {"train"},
      {"search", "x"},
      {"search", "x", "--vector", "1,2", "--id", "7"},
      {"search", "x", "--vector", "1,two"},
      {"search", "x", "--vector", "1,2", "--rows", "1:2"},
      {"search", "x", "--queries", "q.npy", "--rows", "2:1"},
      {"search", "x", "--id", "minus"},
      {"search", "x", "--id", "7", "--limit", "0"},
      {"search", "x", "--id", "7", "--radius", "1", "--limit", "0"},
      {"search", "x", "--id", "7", "--filter", "a ="},
      {"points", "count", "x", "--filter", "a = 1 b"},
      {"eval", "x"},
      {"eval", "x", "--queries", "q.npy", "--groundtruth", "g.ivecs", "--nprobe", "8,x"},
      {"points", "get", "x"},
      {"points", "delete", "x", "--id", "1", "--id-str", "a"},
      {"points", "scroll", "x", "--page-size", "0"},
      {"facet", "x"},
      {"facet", "x", "a", "--limit", "0"},
      {"index", "create", "x", "a", "--type", "text"},
      {"operation", "get"},
      {"health", "--output", "xml"},
      {"health", "--wait", "-2"},
      {"health", "--no-such-option"}};
  for (const auto& arguments : wrong) {
    const Outcome outcome = RunLine(arguments);
    EXPECT_EQ(outcome.code, 2) << ::testing::PrintToString(arguments) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("tessera: "));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
}

// All that take numbers, by the help of every command: CLI11 by itself takes each of these texts.
TEST(CommandLine, NumbersAreDecimalAndFit) {
  const std::vector<std::vector<std::string>> commands = {{"collection", "create"},
                                                          {"collection", "update"},
                                                          {"collection", "lists"},
                                                          {"load"},
                                                          {"train"},
                                                          {"search"},
                                                          {"eval"},
                                                          {"points", "get"},
                                                          {"points", "delete"},
                                                          {"points", "scroll"},
                                                          {"facet"},
                                                          {"codebook", "get"},
                                                          {"codebook", "export"}};
  size_t options = 0;
  for (const std::vector<std::string>& command : commands) {
    std::vector<std::string> help = command;
    help.push_back("--help");
    std::istringstream lines(RunLine(help).out);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string name, type;
      words >> name >> type;
      if (!name.starts_with("--") || !type.starts_with("UINT")) continue;
      ++options;
      for (const char* value : {"", "-1", "0x10", "1e3", "1 ", "99999999999999999999"}) {
        std::vector<std::string> arguments = command;
        arguments.insert(arguments.end(), {name, value});
        const Outcome outcome = RunLine(arguments);
        EXPECT_EQ(outcome.code, 2) << ::testing::PrintToString(arguments);
        EXPECT_THAT(outcome.err, HasSubstr("tessera: " + name + ": '" + value +
                                           "' is not a decimal number from "));
      }
    }
  }
  EXPECT_GE(options, 38u);
  EXPECT_THAT(RunLine({"search", "x", "--limit", "4294967296"}).err,
              HasSubstr("'4294967296' is not a decimal number from 1 to 4294967295"));
  EXPECT_THAT(RunLine({"points", "scroll", "x", "--page-size", "0"}).err,
              HasSubstr("'0' is not a decimal number from 1 to 10000"));
  EXPECT_THAT(RunLine({"points", "delete", "x", "--id", "7,-8"}).err,
              HasSubstr("--id: '-8' is not"));
  EXPECT_THAT(RunLine({"codebook", "activate", "x", "0x1"}).err,
              HasSubstr("version: '0x1' is not"));
}

TEST(CommandLine, AnUnknownCommandIsNamed) {
  EXPECT_THAT(RunLine({"collections"}).err, HasSubstr("unknown command 'collections'"));
  EXPECT_THAT(RunLine({"collection", "make"}).err, HasSubstr("unknown command 'make'"));
  EXPECT_THAT(RunLine({"serach", "x", "--id", "7"}).err, HasSubstr("unknown command 'serach'"));
}

TEST(CommandLine, AnUnknownOptionIsNamedAndNotItsValue) {
  EXPECT_THAT(RunLine({"load", "x", "f.npy", "--fromat", "npy"}).err,
              HasSubstr("unknown option '--fromat'"));
  EXPECT_THAT(RunLine({"points", "get", "x", "--ids", "7"}).err,
              HasSubstr("unknown option '--ids'"));
  EXPECT_THAT(RunLine({"--sever", "a:1", "health"}).err, HasSubstr("unknown option '--sever'"));
  EXPECT_THAT(RunLine({"load", "x", "f.npy", "g.npy"}).err,
              HasSubstr("unexpected argument 'g.npy'"));
}

TEST(CommandLine, AnEmptyFilterDoesNotStandForAllPoints) {
  for (std::vector<std::string> arguments :
       std::vector<std::vector<std::string>>{{"search", "x", "--id", "7"},
                                             {"points", "count", "x"},
                                             {"points", "scroll", "x"},
                                             {"points", "delete", "x"},
                                             {"facet", "x", "key"}}) {
    arguments.insert(arguments.end(), {"--filter", ""});
    const Outcome outcome = RunLine(arguments);
    EXPECT_EQ(outcome.code, 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, HasSubstr("--filter: the filter is empty"));
  }
  EXPECT_THAT(RunLine({"points", "delete", "x"}).err,
              HasSubstr("by --id, by --id-str or by --filter"));
}

TEST(CommandLine, ARequestIdOfALoadLeavesRoomForTheRow) {
  const TempDir dir;
  const std::string file =
      dir.Write("v.u8bin", std::string("\x0B\0\0\0\x01\0\0\0", 8) + std::string(11, 'x'));
  const auto load = [&](size_t bytes, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"load", "x", file, "--request-id", std::string(bytes, 'r')});
    return RunLine(more);
  };
  EXPECT_EQ(load(62).code, 2);
  EXPECT_THAT(load(62).err, HasSubstr("has 62 bytes; this load has room for 61, because up to "
                                      "'/10' is added"));
  EXPECT_EQ(load(61).code, 5) << load(61).err;
  EXPECT_EQ(load(62, {"--limit", "10"}).code, 5);
  EXPECT_EQ(load(62, {"--limit", "9", "--start-row", "2"}).code, 2);
}

TEST(CommandLine, AFileThatCannotBeWrittenReturnsOne) {
  const TempDir dir;
  const std::string path = dir.Path("absent/w.tcb");
  const Outcome outcome = RunLine({"codebook", "export", "x", path});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("tessera: " + path + ": cannot create"));
}

TEST(CommandLine, AServerThatCannotBeReachedReturnsFive) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"health"},
                                             {"collection", "list"},
                                             {"train", "x"},
                                             {"search", "x", "--vector", "-1,2"},
                                             {"search", "x", "--id", "7"},
                                             {"points", "count", "x"},
                                             {"operation", "watch", "op-1"}}) {
    const Outcome outcome = RunLine(arguments);
    EXPECT_EQ(outcome.code, 5) << ::testing::PrintToString(arguments) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("127.0.0.1:1"));
  }
}

TEST(CommandLine, BadInputFilesReturnThreeBeforeTheServerIsAsked) {
  const TempDir dir;
  const std::string text = dir.Write("v.txt", "1 2 3\n");
  const std::string cut = dir.Write("v.npy", NpyHeaderBytes("<f4", "(10, 4)") + "1234");
  const std::string good = dir.Write("g.u8bin", std::string("\x01\0\0\0\x02\0\0\0ab", 10));
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"load", "x", dir.Path("absent.npy")},
           {"load", "x", text},
           {"load", "x", cut},
           {"load", "x", good, "--payload", dir.Path("absent.jsonl")},
           {"load", "x", good, "--ids", dir.Path("absent.txt")},
           {"search", "x", "--queries", cut},
           {"eval", "x", "--queries", good, "--groundtruth", dir.Path("absent.ivecs")},
           {"codebook", "import", "x", dir.Path("absent.tcb")}}) {
    const Outcome outcome = RunLine(arguments);
    EXPECT_EQ(outcome.code, 3) << ::testing::PrintToString(arguments) << outcome.err;
  }
  const Outcome load = RunLine({"load", "x", cut});
  EXPECT_THAT(load.err, HasSubstr(cut + ": row 0, byte 132: the file is cut short"));
  EXPECT_THAT(load.err, HasSubstr("nothing was loaded"));
}

TEST(CommandLine, JsonErrorsAreOneDocument) {
  const TempDir dir;
  const auto error = [](const std::vector<std::string>& arguments) {
    const Outcome outcome = RunLine(arguments);
    const auto document = nlohmann::json::parse(outcome.out, nullptr, false);
    EXPECT_FALSE(document.is_discarded()) << outcome.out;
    EXPECT_EQ(document["error"]["exit_code"], outcome.code);
    return document["error"];
  };
  EXPECT_EQ(error({"health", "--output", "json"})["code"], "UNAVAILABLE");
  EXPECT_EQ(error({"--output=json", "nonsense"})["exit_code"], 2);
  const auto load = error({"load", "x", dir.Path("absent.npy"), "--output=json"});
  EXPECT_EQ(load["exit_code"], 3);
  EXPECT_EQ(load["loaded"]["points"], 0);
}

TEST(CommandLine, VersionInBothForms) {
  EXPECT_THAT(RunLine({"version"}).out, HasSubstr("tessera 0."));
  EXPECT_EQ(RunLine({"--version"}).code, 0);
  EXPECT_THAT(RunLine({"--version"}).out, HasSubstr("tessera 0."));
  // Not where it may be meant as the version of a codebook.
  EXPECT_EQ(RunLine({"codebook", "activate", "x", "--version", "1"}).code, 2);
  const Outcome json = RunLine({"version", "--output", "json"});
  EXPECT_EQ(json.code, 0);
  EXPECT_TRUE(nlohmann::json::parse(json.out)["version"].is_string());
}

}  // namespace
}  // namespace tessera::cli
