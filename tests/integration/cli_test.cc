// The CLI's binary against a real server: what it prints, what it exits with, what it leaves there.
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/requests.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class CliCommandsTest : public CliTest {
 protected:
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
};

TEST_F(CliCommandsTest, LoadsTrainsSearchesAndEvaluates) {
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

TEST_F(CliCommandsTest, PrintsTablesForPeople) {
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

TEST_F(CliCommandsTest, CodebooksMoveThroughFiles) {
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

TEST_F(CliCommandsTest, UpdatesACollection) {
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

TEST_F(CliCommandsTest, ListsInOrderEstimatesAndShowsTheLists) {
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

TEST_F(CliCommandsTest, ExitCodesTellWhatWentWrong) {
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
