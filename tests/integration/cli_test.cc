// The CLI's binary against a real server: what it prints, what it exits with, what it leaves there.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/subprocess.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kUsage = 2;
constexpr int kInputFile = 3;
constexpr int kNotFound = 4;
constexpr int kUnavailable = 5;
constexpr int kRefused = 6;

class CliTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = folder_.File("data")}));
  }

  // Runs `tessera` against the server, in the environment's variable or by the flag.
  absl::StatusOr<CommandResult> Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), CliBinary());
    return RunCommand(arguments, {{"TESSERA_SERVER", server_->address()}});
  }

  // The one JSON document that a command prints; null, and a failure, if it exits otherwise.
  Json RunJson(std::vector<std::string> arguments, int exit_code = 0) {
    arguments.insert(arguments.end(), {"--output", "json"});
    const absl::StatusOr<CommandResult> result = Run(arguments);
    EXPECT_OK(result.status());
    if (!result.ok()) return nullptr;
    EXPECT_EQ(result->exit_code, exit_code) << absl::StrCat(result->out, result->err);
    Json json = Json::parse(result->out, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(json.is_discarded()) << result->out;
    return json.is_discarded() ? Json() : json;
  }

  Json Create(const std::string& name) {
    return RunJson({"collection", "create", name, "--dimension", "128", "--metric", "ip",
                    "--element-type", "float16"});
  }

  // A copy of WordNet's first rows as a .npy file.
  std::string WriteNpy(const std::string& name, size_t rows, size_t cut_bytes = 0) {
    std::string header =
        absl::StrCat("{'descr': '<f2', 'fortran_order': False, 'shape': (", rows, ", 128), }");
    header.resize(117, ' ');
    header += '\n';
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(header.size());
    bytes += '\0';
    bytes += header + GetWordNet().vectors.substr(0, rows * 256);
    bytes.resize(bytes.size() - cut_bytes);
    WriteWholeFile(folder_.File(name), bytes);
    return folder_.File(name);
  }

  std::string WriteLines(const std::string& name, const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
    WriteWholeFile(folder_.File(name), text);
    return folder_.File(name);
  }

  Client& client() { return server_->client(); }

  // Every point as near as the fifth neighbour of point 20656, and scores by codes with what bounds
  // them; `hits` are its neighbours.
  void ExpectRangeAndBounds(const Json& hits) {
    const std::string radius = absl::StrCat("--radius=", hits[4]["score"].get<float>() - 1e-5f);
    const Json within = RunJson({"search", "words", "--id", "20656", radius})["results"][0]["hits"];
    ASSERT_EQ(within.size(), 5u);
    for (size_t i = 0; i < hits.size(); ++i) EXPECT_EQ(within[i]["id"], hits[i]["id"]);
    EXPECT_EQ(
        RunJson({"search", "words", "--id", "20656", radius, "--limit", "3"})["results"][0]["hits"]
            .size(),
        3u);
    const Json bounded = RunJson(
        {"search", "words", "--id", "20656", "--no-rerank", "--bounds"})["results"][0]["hits"];
    for (const Json& hit : bounded) {
      const Json& bounds = hit["bounds"];
      EXPECT_LT(bounds["lower"], bounds["upper"]);
      for (const Json& exact_hit : hits) {
        if (exact_hit["id"] != hit["id"]) continue;
        EXPECT_LE(bounds["lower"], exact_hit["score"]);
        EXPECT_GE(bounds["upper"], exact_hit["score"]);
      }
    }
  }

  // The nearest of each category, and points like some and unlike another.
  void ExpectGroupsAndExamples() {
    const Json answer =
        RunJson({"search", "words", "--id", "20656", "--group-by", "category", "--group-size", "2",
                 "--limit", "4", "--fields", "category", "--explain"});
    EXPECT_EQ(answer["explanations"][0]["plan"], "LISTS");
    const Json groups = answer["results"];
    ASSERT_EQ(groups.size(), 4u);
    std::set<std::string> categories;
    for (const Json& group : groups) {
      const std::string category = group["query"]["group"];
      EXPECT_TRUE(categories.insert(category).second) << category;
      EXPECT_EQ(group["hits"].size(), 2u);
      for (const Json& hit : group["hits"]) EXPECT_EQ(hit["payload"]["category"], category);
    }
    const Json like = RunJson({"search", "words", "--positive", "20656,7", "--negative", "8",
                               "--explain"})["results"][0]["hits"];
    ASSERT_EQ(like.size(), 10u);
    for (const Json& hit : like) {
      EXPECT_TRUE(hit["id"] != 20656 && hit["id"] != 7 && hit["id"] != 8) << hit;
    }
  }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(CliTest, LoadsTrainsSearchesAndEvaluates) {
  const Json created = Create("words");
  EXPECT_EQ(created["dimension"], 128);
  EXPECT_EQ(created["state"], "UNTRAINED");
  const Json loaded = RunJson(
      {"load", "words", WordNetFile("vectors.npy"), "--payload", WordNetFile("payload.jsonl")});
  EXPECT_EQ(loaded["points"], 25'000);
  EXPECT_GT(loaded["points_per_second"], 1'000);
  const Json trained = RunJson({"train", "words", "--wait"});
  EXPECT_EQ(trained["state"], "SUCCEEDED");
  EXPECT_EQ(trained["codebook_version"], 1);
  EXPECT_EQ(RunJson({"collection", "get", "words"})["state"], "READY");

  const Json evaluated =
      RunJson({"eval", "words", "--queries", WordNetFile("queries.npy"), "--groundtruth",
               WordNetFile("groundtruth.ivecs"), "--nprobe", "1,default", "--exact"});
  EXPECT_EQ(evaluated["queries"], 500);
  ASSERT_EQ(evaluated["rows"].size(), 3u);
  const Json& one = evaluated["rows"][0];
  const Json& by_default = evaluated["rows"][1];
  const Json& exact = evaluated["rows"][2];
  EXPECT_LT(one["recall_at_10"], by_default["recall_at_10"]);
  EXPECT_GE(by_default["recall_at_10"], 0.95);
  for (const char* depth : {"recall_at_1", "recall_at_10", "recall_at_100"}) {
    EXPECT_EQ(exact[depth], 1.0) << depth;
  }
  for (const Json& row : evaluated["rows"]) {
    EXPECT_GT(row["qps"], 0);
    EXPECT_GT(row["p50_ms"], 0);
    EXPECT_GE(row["p99_ms"], row["p50_ms"]);
  }

  const Json by_id =
      RunJson({"search", "words", "--id", "20656", "--limit", "5", "--with-payload"});
  const Json& hits = by_id["results"][0]["hits"];
  ASSERT_EQ(hits.size(), 5u);
  for (const Json& hit : hits) {
    const size_t row = hit["id"];
    EXPECT_NE(row, 20'656u);
    EXPECT_EQ(hit["payload"], Json::parse(GetWordNet().payloads[row]));
    EXPECT_EQ(hit["score_is_exact"], true);
  }

  // The same neighbours by the point's vector, which finds the point itself as well.
  std::string vector;
  for (const float x : GetWordNet().Floats(20'656)) absl::StrAppend(&vector, x, ",");
  vector.pop_back();
  const Json by_vector =
      RunJson({"search", "words", absl::StrCat("--vector=", vector), "--limit", "6"});
  const Json& more = by_vector["results"][0]["hits"];
  ASSERT_EQ(more.size(), 6u);
  EXPECT_EQ(more[0]["id"], 20'656);
  for (size_t i = 0; i < hits.size(); ++i) EXPECT_EQ(more[i + 1]["id"], hits[i]["id"]);

  ExpectGroupsAndExamples();
  ExpectRangeAndBounds(RunJson(
      {"search", "words", "--id", "20656", "--limit", "5", "--exact"})["results"][0]["hits"]);

  const Json from_file = RunJson({"search", "words", "--queries", WordNetFile("queries.npy"),
                                  "--rows", "3:5", "--limit", "1", "--exact"});
  ASSERT_EQ(from_file["results"].size(), 2u);
  EXPECT_EQ(from_file["results"][0]["hits"][0]["id"], GetWordNet().ground_truth[3][0]);
  EXPECT_EQ(from_file["results"][1]["hits"][0]["id"], GetWordNet().ground_truth[4][0]);
}

TEST_F(CliTest, CalibratesAndAsksForARecall) {
  Create("words");
  RunJson({"load", "words", WordNetFile("vectors.npy")});
  RunJson({"train", "words", "--wait"});
  // Half of the queries to calibrate with, and the other half to ask with.
  RunJson(
      {"calibrate", "words", "--queries", WordNetFile("queries.npy"), "--rows", "0:250", "--wait"});
  const Json calibration = RunJson({"collection", "get", "words"})["calibration"];
  EXPECT_EQ(calibration["queries"], 250);
  EXPECT_EQ(calibration["stored_queries"], false);
  EXPECT_GE(calibration["depths"].size(), 5u);
  const Json asked = RunJson({"eval", "words", "--queries", WordNetFile("queries.npy"), "--rows",
                              "250:500", "--groundtruth", WordNetFile("groundtruth.ivecs"),
                              "--limit", "10", "--recall", "0.8,0.95"});
  ASSERT_EQ(asked["rows"].size(), 2u);
  for (const Json& row : asked["rows"]) {
    EXPECT_GE(row["recall_at_10"].get<double>(), row["target_recall"].get<double>() - 0.02);
  }
  EXPECT_LT(asked["rows"][0]["recall_at_10"], asked["rows"][1]["recall_at_10"]);
  const Json explained =
      RunJson({"search", "words", "--id", "20656", "--recall", "0.9", "--explain"});
  EXPECT_GE(explained["explanations"][0]["expected_recall"].get<double>(), 0.9);
  RunJson({"calibrate", "words", "--rows", "0:5"}, kUsage);
  RunJson({"eval", "words", "--queries", WordNetFile("queries.npy"), "--groundtruth",
           WordNetFile("groundtruth.ivecs"), "--recall", "much"},
          kUsage);
}

TEST_F(CliTest, PrintsTablesForPeople) {
  Create("words");
  ASSERT_OK_AND_ASSIGN(const CommandResult load,
                       Run({"load", "words", WriteNpy("v.npy", 700), "--payload",
                            WriteLines("p.jsonl", {GetWordNet().payloads.begin(),
                                                   GetWordNet().payloads.begin() + 700})}));
  EXPECT_EQ(load.exit_code, 0) << load.err;
  EXPECT_THAT(load.out, HasSubstr("700 points"));
  ASSERT_OK_AND_ASSIGN(const CommandResult search,
                       Run({"search", "words", "--id", "1", "--fields", "word,gloss"}));
  EXPECT_EQ(search.exit_code, 0) << search.err;
  EXPECT_THAT(search.out, AllOf(HasSubstr("RANK"), HasSubstr("gloss")));
  ASSERT_OK_AND_ASSIGN(const CommandResult list, Run({"collection", "list"}));
  EXPECT_THAT(list.out, AllOf(HasSubstr("words"), HasSubstr("700"), HasSubstr("INNER_PRODUCT")));
  ASSERT_OK_AND_ASSIGN(const CommandResult health, Run({"health"}));
  EXPECT_EQ(health.exit_code, 0);
  EXPECT_THAT(health.out, HasSubstr(server_->address()));
}

TEST_F(CliTest, LoadsIdsOfBothKinds) {
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

TEST_F(CliTest, AFileThatIsCutShortStopsTheLoad) {
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

TEST_F(CliTest, ABadRowSaysWhatWasLoadedBeforeIt) {
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

TEST_F(CliTest, ABadVectorIsNamedByItsRowOfTheFile) {
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

TEST_F(CliTest, ALoadWithNothingLeftToLoadDoesNotSayHowToGoOn) {
  Create("words");
  const std::string payloads = WriteLines("p.jsonl", std::vector<std::string>(701, "{}"));
  const Json error = RunJson({"load", "words", WriteNpy("v.npy", 700), "--payload", payloads},
                             kInputFile)["error"];
  EXPECT_EQ(error["loaded"]["points"], 700);
  EXPECT_THAT(error["message"].get<std::string>(),
              AllOf(HasSubstr("line 701: there are only 700 rows"), HasSubstr("(rows 0 to 699)"),
                    Not(HasSubstr("to go on"))));
}

TEST_F(CliTest, AServerThatStopsAnsweringIsNotWaitedForLonger) {
  Create("words");
  // So many round trips that the load is still on its way when the server stops.
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Subprocess> load,
      Subprocess::Start({.arguments = {CliBinary(), "load", "words", WordNetFile("vectors.npy"),
                                       "--batch", "5", "--in-flight", "1", "--timeout", "1"},
                         .environment = {{"TESSERA_SERVER", server_->address()}},
                         .stdout_path = folder_.File("out"),
                         .stderr_path = folder_.File("err")}));
  for (uint64_t points = 0; points == 0;) {
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

TEST_F(CliTest, CodebooksMoveThroughFiles) {
  const std::string vectors = WriteNpy("v.npy", 3'000);
  for (const char* name : {"a", "b"}) {
    Create(name);
    RunJson({"load", name, vectors});
  }
  RunJson({"train", "a", "--wait", "--nlist", "20", "--seed", "11"});
  const std::string file = folder_.File("a.tcb");
  const Json exported = RunJson({"codebook", "export", "a", file});
  EXPECT_EQ(exported["bytes"], std::filesystem::file_size(file));
  EXPECT_EQ(RunJson({"codebook", "import", "b", file, "--wait"})["state"], "SUCCEEDED");
  const Json of_a = RunJson({"codebook", "list", "a"})["codebooks"];
  const Json of_b = RunJson({"codebook", "list", "b"})["codebooks"];
  ASSERT_EQ(of_b.size(), 1u);
  EXPECT_EQ(of_b[0]["content_hash"], of_a[0]["content_hash"]);
  EXPECT_EQ(of_b[0]["nlist"], 20);
  const std::vector<std::string> search = {"--queries", WordNetFile("queries.npy"), "--limit", "3"};
  const auto answers = [&](const std::string& name) {
    std::vector<std::string> arguments = {"search", name};
    arguments.insert(arguments.end(), search.begin(), search.end());
    return RunJson(arguments)["results"];
  };
  EXPECT_EQ(answers("a"), answers("b"));

  std::string bytes = ReadWholeFile(file);
  bytes[bytes.size() / 2] ^= 1;
  WriteWholeFile(file, bytes);
  const Json error = RunJson({"codebook", "import", "b", file}, kInputFile)["error"];
  EXPECT_EQ(error["code"], "DATA_LOSS");
  EXPECT_THAT(std::string(error["message"]), HasSubstr(file + ": codebook: "));
  EXPECT_EQ(RunJson({"codebook", "import", "b", vectors}, kInputFile)["error"]["code"],
            "DATA_LOSS");
  RunJson({"codebook", "import", "nonsense", file}, kNotFound);
  // The same dimension, another metric.
  RunJson({"codebook", "export", "a", file});
  RunJson({"collection", "create", "c", "--dimension", "128", "--metric", "l2"});
  EXPECT_THAT(std::string(RunJson({"codebook", "import", "c", file}, kRefused)["error"]["message"]),
              HasSubstr("the codebook has dimension 128 and metric INNER_PRODUCT; collection c has "
                        "dimension 128 and metric L2"));
}

TEST_F(CliTest, UpdatesACollection) {
  Create("words");
  const Json updated =
      RunJson({"collection", "update", "words", "--default-nprobe", "9", "--metadata",
               R"({"owner":"x"})", "--durability", "async", "--expected-revision", "0"});
  EXPECT_EQ(updated["index"]["default_nprobe"], 9);
  EXPECT_EQ(updated["metadata"], (Json{{"owner", "x"}}));
  EXPECT_EQ(updated["durability"], "ASYNC");
  EXPECT_EQ(updated["revision"], 1);
  const Json cleared = RunJson({"collection", "update", "words", "--metadata", ""});
  EXPECT_EQ(cleared["metadata"], nullptr);
  EXPECT_EQ(cleared["index"]["default_nprobe"], 9);
  RunJson({"collection", "update", "words", "--nlist", "7", "--expected-revision", "0"}, kRefused);
  RunJson({"collection", "update", "words"}, 2);
}

TEST_F(CliTest, ListsInOrderEstimatesAndShowsTheLists) {
  Create("words");
  RunJson({"load", "words", WordNetFile("vectors.npy"), "--payload", WordNetFile("payload.jsonl"),
           "--limit", "3000"});
  RunJson({"points", "scroll", "words", "--order-by", "senses"}, kRefused);
  RunJson({"index", "create", "words", "senses", "--type", "integer", "--wait"});
  const Json page = RunJson({"points", "scroll", "words", "--order-by", "senses", "--descending",
                             "--start-from", "4", "--page-size", "5"});
  ASSERT_EQ(page["points"].size(), 5u);
  for (const Json& point : page["points"]) EXPECT_EQ(point["payload"]["senses"], 4);
  const Json next = RunJson({"points", "scroll", "words", "--order-by", "senses", "--descending",
                             "--page-size", "5", "--page-token", page["next_page_token"]});
  EXPECT_GT(next["points"][0]["id"], page["points"][4]["id"]);
  RunJson({"points", "scroll", "words", "--descending"}, 2);

  const Json estimate =
      RunJson({"points", "count", "words", "--filter", "word exists", "--estimate"});
  EXPECT_EQ(estimate["exact"], false);
  EXPECT_EQ(estimate["points_max"], 3'000);
  EXPECT_EQ(RunJson({"points", "count", "words", "--estimate"})["exact"], true);

  const Json values = RunJson({"facet", "words", "category", "--limit", "3"});
  ASSERT_EQ(values["hits"].size(), 3u);
  const Json more = RunJson(
      {"facet", "words", "category", "--limit", "3", "--page-token", values["next_page_token"]});
  EXPECT_LE(more["hits"][0]["points"], values["hits"][2]["points"]);
  const Json all = RunJson({"facet", "words", "category", "--all"});
  EXPECT_GT(all["hits"].size(), 6u);
  EXPECT_EQ(all["hits"][2], values["hits"][2]);
  EXPECT_EQ(all["hits"][3], more["hits"][0]);
  EXPECT_EQ(all["next_page_token"], "");

  RunJson({"collection", "lists", "words"}, kRefused);
  RunJson({"train", "words", "--nlist", "25", "--wait"});
  const Json lists = RunJson({"collection", "lists", "words", "--all"});
  EXPECT_EQ(lists["points"], 3'000);
  EXPECT_EQ(lists["lists"].size(), 25u);
  ASSERT_OK_AND_ASSIGN(const CommandResult text, Run({"collection", "lists", "words"}));
  EXPECT_THAT(text.out, HasSubstr("3,000 points in 25 lists of codebook 1"));
}

TEST_F(CliTest, ExitCodesTellWhatWentWrong) {
  EXPECT_EQ(RunJson({"collection", "get", "nonsense"}, kNotFound)["error"]["code"], "NOT_FOUND");
  Create("words");
  RunJson({"collection", "create", "words", "--dimension", "128"}, kRefused);
  RunJson({"train", "words"}, kRefused);
  RunJson({"search", "words", "--vector", "1,2,3"}, kUsage);
  std::string twice = "1";
  for (int i = 1; i < 256; ++i) twice += ",1";
  EXPECT_THAT(RunJson({"search", "words", "--vector", twice}, kUsage)["error"]["message"],
              HasSubstr("dimension 128"));
  // Twice as many components as the collection has: on the wire they look like two vectors.
  const std::string wide = folder_.File("wide.bvecs");
  WriteWholeFile(wide, std::string("\0\1\0\0", 4) + std::string(256, 'x'));
  const std::string truth = folder_.File("wide.ivecs");
  WriteWholeFile(truth, std::string("\1\0\0\0\0\0\0\0", 8));
  for (std::vector<std::string> command :
       {std::vector<std::string>{"search"}, {"eval", "--groundtruth", truth}}) {
    command.insert(command.end(), {"words", "--queries", wide});
    EXPECT_THAT(std::string(RunJson(command, kInputFile)["error"]["message"]),
                HasSubstr("wide.bvecs: vectors of dimension 256 do not fit collection words of "
                          "dimension 128"));
  }
  RunJson({"load", "words", folder_.File("absent.npy")}, kInputFile);
  ASSERT_OK_AND_ASSIGN(const CommandResult usage, Run({"search", "words", "--no-such-option"}));
  EXPECT_EQ(usage.exit_code, 2);
  RunJson({"collection", "delete", "words"});
  RunJson({"collection", "delete", "words"}, kNotFound);
  ASSERT_OK_AND_ASSIGN(const CommandResult help, Run({"load", "--help"}));
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("Examples"));
  server_->Kill();
  EXPECT_EQ(RunJson({"collection", "list"}, kUnavailable)["error"]["code"], "UNAVAILABLE");
}

}  // namespace
}  // namespace tessera
