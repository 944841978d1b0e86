// Loading files through the CLI's binary, and what it says when that goes wrong.
#include <signal.h>

#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/files/hdf5_file.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/requests.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using CliLoadTest = CliTest;

TEST_F(CliLoadTest, LoadsIdsOfBothKinds) {
  Create("words");
  std::vector<std::string> names;
  std::vector<std::string> numbers;
  for (int i = 0; i < 500; ++i) {
    names.push_back(absl::StrCat("word ", i, " \xC3\xA9"));
    numbers.push_back(absl::StrCat(1'000'000'000'000 + i));
  }
  const std::string vectors = WriteNpy("v.npy", 500);
  RunJson({"load", "words", vectors, "--ids", WriteLines("names.txt", names), "--batch", "64"});
  RunJson({"load", "words", vectors, "--ids", WriteLines("numbers.txt", numbers)});
  RunJson(
      {"load", "words", vectors, "--ids", WriteLines("text.txt", numbers), "--id-type", "string"});
  ASSERT_OK_AND_ASSIGN(const auto points, ScrollAll(client(), "words", 1'000, true));
  EXPECT_EQ(points.size(), 1'500u);
  for (size_t i = 0; i < 500; ++i) {
    for (const std::string& id :
         {absl::StrCat("\"", names[i], "\""), numbers[i], absl::StrCat("\"", numbers[i], "\"")}) {
      ASSERT_TRUE(points.contains(id)) << id;
      EXPECT_EQ(points.at(id).vector().data(), GetWordNet().Row(i));
    }
  }
  const Json hits =
      RunJson({"search", "words", "--id-str", names[3], "--limit", "2"})["results"][0]["hits"];
  ASSERT_EQ(hits.size(), 2u);  // the same vector under the two other ids
  EXPECT_EQ(hits[0]["id"], 1'000'000'000'003);
  EXPECT_EQ(hits[1]["id"], "1000000000003");
}

TEST_F(CliLoadTest, LoadsPointsOfJsonLines) {
  Create("words");
  std::vector<std::string> lines;
  for (int i = 0; i < 300; ++i) {
    const std::span<const float> row = GetWordNet().Floats(i);
    Json point = Json::parse(GetWordNet().payloads[i]);
    point["id"] = i < 150 ? Json(i) : Json(absl::StrCat("word ", i));
    point["embedding"] = std::vector<float>(row.begin(), row.end());
    lines.push_back(point.dump());
  }
  const std::string file = WriteLines("points.jsonl", lines);
  EXPECT_EQ(RunJson({"load", "words", file, "--limit", "200"})["points"], 200);
  EXPECT_EQ(RunJson({"load", "words", file, "--start-row", "200"})["points"], 100);
  ASSERT_OK_AND_ASSIGN(const auto points, ScrollAll(client(), "words", 1'000, true));
  EXPECT_EQ(points.size(), 300u);
  for (int i = 0; i < 300; ++i) {
    const std::string id = i < 150 ? absl::StrCat(i) : absl::StrCat("\"word ", i, "\"");
    ASSERT_TRUE(points.contains(id)) << id;
    EXPECT_EQ(points.at(id).vector().data(), GetWordNet().Row(i));
    Json payload = Json::parse(GetWordNet().payloads[i]);
    payload.erase("id");  // it is the point's own
    EXPECT_EQ(Json::parse(points.at(id).payload()), payload);
  }
  // A wrong line stops the load behind what is before it, and says where.
  lines[250] = R"({"id": 1, "embedding": [1, 2, "three"]})";
  const Json error = RunJson({"load", "words", WriteLines("wrong.jsonl", lines), "--batch", "100"},
                             kInputFile)["error"];
  EXPECT_EQ(error["loaded"]["points"],
            250);  // in chunks of 100, 50 and 100: ids of one kind in each
  EXPECT_THAT(error["message"].get<std::string>(),
              HasSubstr("wrong.jsonl, line 251: \"embedding\": component 2 is not a number"));
  RunJson({"load", "words", file, "--ids", file}, kUsage);
  RunJson({"load", "words", WriteNpy("v.npy", 10), "--vector-field", "x"}, kUsage);
}

TEST_F(CliLoadTest, OneHdf5FileIsLoadedAndEvaluated) {
  Create("words");
  const std::string file = folder_.File("words.hdf5");
  const auto floats = [](std::span<const float> row) {
    return std::string(reinterpret_cast<const char*>(row.data()), row.size_bytes());
  };
  constexpr uint64_t kRows = 2'000, kQueries = 50;
  std::string train, test, neighbors;
  for (uint64_t i = 0; i < kRows; ++i) train += floats(GetWordNet().Floats(i));
  for (uint64_t i = 0; i < kQueries; ++i) {
    test += floats(GetWordNet().Floats(i));
    const int64_t nearest = static_cast<int64_t>(i);
    neighbors.append(reinterpret_cast<const char*>(&nearest), sizeof(nearest));
  }
  cli::WriteHdf5(file, {{"train", "float32", {kRows, 128}, train, true},
                        {"test", "float32", {kQueries, 128}, test},
                        {"neighbors", "int64", {kQueries, 1}, neighbors}});
  EXPECT_EQ(RunJson({"load", "words", file})["points"], kRows);
  const Json evaluated = RunJson({"eval", "words", "--queries", file, "--groundtruth", file});
  EXPECT_EQ(evaluated["queries"], kQueries);
  EXPECT_EQ(evaluated["rows"][0]["recall_at_1"], 1.0);
  EXPECT_EQ(RunJson({"search", "words", "--queries", file + ":train", "--rows", "7:9", "--limit",
                     "1"})["results"][1]["hits"][0]["id"],
            8);
  const Json error = RunJson({"load", "words", file + ":vectors"}, kInputFile)["error"];
  EXPECT_THAT(error["message"].get<std::string>(),
              HasSubstr("words.hdf5:vectors: there is no such dataset (neighbors, test, train)"));
}

TEST_F(CliLoadTest, AFileThatIsCutShortStopsTheLoad) {
  Create("words");
  // Row 699 begins at byte 128 + 699 * 256 and is cut 100 bytes before its end.
  const std::string file = WriteNpy("cut.npy", 700, 100);
  const std::string size = absl::StrCat(128 + 700 * 256 - 100);
  ASSERT_OK_AND_ASSIGN(const CommandResult load, Run({"load", "words", file}));
  EXPECT_EQ(load.exit_code, kInputFile);
  EXPECT_THAT(load.err, AllOf(HasSubstr(file), HasSubstr("row 699"), HasSubstr("byte " + size),
                              HasSubstr("loaded")));
  const Json error = RunJson({"load", "words", file}, kInputFile)["error"];
  EXPECT_EQ(error["exit_code"], kInputFile);
  EXPECT_EQ(error["loaded"]["points"], 0);
  ASSERT_OK_AND_ASSIGN(const uint64_t none, client().CountPoints("words"));
  EXPECT_EQ(none, 0u);
  // What is whole can be loaded on request.
  EXPECT_EQ(RunJson({"load", "words", file, "--allow-truncated"})["points"], 699);
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints("words"));
  EXPECT_EQ(count, 699u);
  // Ids may be there of the rows that are lost, too.
  std::vector<std::string> ids;
  for (int i = 0; i < 700; ++i) ids.push_back(absl::StrCat(5'000 + i));
  const std::string id_file = WriteLines("ids.txt", ids);
  EXPECT_EQ(RunJson({"load", "words", file, "--allow-truncated", "--ids", id_file})["points"], 699);
  RunJson({"load", "words", WriteNpy("less.npy", 699), "--ids", id_file}, kInputFile);
}

TEST_F(CliLoadTest, ABadRowSaysWhatWasLoadedBeforeIt) {
  Create("words");
  // The CLI sees that a line is no object; that it is nested too deeply is for the server to say.
  std::vector<std::string> payloads(700, "{}");
  payloads[250] = "[]";
  payloads[450] = "{\"a\":" + std::string(20, '[') + std::string(20, ']') + "}";
  const std::string vectors = WriteNpy("v.npy", 700);
  const std::string lines = WriteLines("p.jsonl", payloads);
  const std::vector<std::string> load = {"load", "words",   vectors, "--payload",
                                         lines,  "--batch", "100"};
  const Json malformed = RunJson(load, kInputFile)["error"];
  EXPECT_THAT(malformed["message"].get<std::string>(), HasSubstr("line 251"));
  EXPECT_EQ(malformed["loaded"]["points"], 200);
  payloads[250] = "{}";
  WriteLines("p.jsonl", payloads);
  const Json error = RunJson(load, kRefused)["error"];
  EXPECT_EQ(error["reason"], "INVALID_FIELD");
  EXPECT_EQ(error["fields"][0]["field"], "payloads[50]");
  EXPECT_EQ(error["row"], 450);
  EXPECT_THAT(error["message"].get<std::string>(),
              AllOf(HasSubstr(": row 450, of the chunk from row 400 on, was refused: "),
                    HasSubstr("to go on: --start-row 400")));
  EXPECT_EQ(error["loaded"]["points"], 400);
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints("words"));
  EXPECT_EQ(count, 400u);
  // Goes on from there once the line is mended.
  payloads[450] = "{}";
  WriteLines("p.jsonl", payloads);
  const Json rest = RunJson({"load", "words", vectors, "--payload", lines, "--start-row", "400"});
  EXPECT_EQ(rest["points"], 300);
  ASSERT_OK_AND_ASSIGN(const uint64_t all, client().CountPoints("words"));
  EXPECT_EQ(all, 700u);
}

TEST_F(CliLoadTest, ABadVectorIsNamedByItsRowOfTheFile) {
  Create("words");
  const std::string file = WriteNpy("v.npy", 700);
  std::string bytes = ReadWholeFile(file);
  bytes.replace(128 + 456 * 256 + 2 * 7, 2, "\x00\x7E", 2);  // NaN
  WriteWholeFile(file, bytes);
  const Json error = RunJson({"load", "words", file, "--batch", "100"}, kRefused)["error"];
  EXPECT_EQ(error["row"], 456);
  EXPECT_THAT(error["message"].get<std::string>(),
              HasSubstr("row 456, of the chunk from row 400 on, was refused: "));
}

TEST_F(CliLoadTest, ALoadWithNothingLeftToLoadDoesNotSayHowToGoOn) {
  Create("words");
  const std::string payloads = WriteLines("p.jsonl", std::vector<std::string>(701, "{}"));
  const Json error = RunJson({"load", "words", WriteNpy("v.npy", 700), "--payload", payloads},
                             kInputFile)["error"];
  EXPECT_EQ(error["loaded"]["points"], 700);
  EXPECT_THAT(error["message"].get<std::string>(),
              AllOf(HasSubstr("line 701: there are only 700 rows"), HasSubstr("(rows 0 to 699)"),
                    Not(HasSubstr("to go on"))));
}

TEST_F(CliLoadTest, AServerThatStopsAnsweringIsNotWaitedForLonger) {
  Create("words");
  // So many round trips that the load is still on its way when the server stops. The second message
  // goes after the answer to the first.
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Subprocess> load,
      Subprocess::Start({.arguments = {CliBinary(), "load", "words", WordNetFile("vectors.npy"),
                                       "--batch", "5", "--in-flight", "1", "--timeout", "1"},
                         .environment = {{"TESSERA_SERVER", server_->address()}},
                         .stdout_path = folder_.File("out"),
                         .stderr_path = folder_.File("err")}));
  for (uint64_t points = 0; points <= 5;) {
    ASSERT_FALSE(load->Poll().has_value()) << ReadWholeFile(folder_.File("err"));
    ASSERT_OK_AND_ASSIGN(points, client().CountPoints("words"));
  }
  server_->Signal(SIGSTOP);
  ASSERT_OK_AND_ASSIGN(const int exit_code, load->Wait(absl::Seconds(60)));
  EXPECT_EQ(exit_code, kUnavailable);
  EXPECT_THAT(ReadWholeFile(folder_.File("err")),
              AllOf(HasSubstr("did not acknowledge anything within 1s"),
                    HasSubstr("to go on: --start-row ")));
  const absl::Time begin = absl::Now();
  ASSERT_OK_AND_ASSIGN(const CommandResult health, Run({"health", "--wait", "1"}));
  EXPECT_EQ(health.exit_code, kUnavailable);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(30));  // --timeout is 60
  server_->Signal(SIGCONT);
}

}  // namespace
}  // namespace tessera
