// Recall through the CLI's binary: asked for, measured, and where it is lost.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/requests.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using CliEvalTest = CliTest;

TEST_F(CliEvalTest, CalibratesAndAsksForARecall) {
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
  EXPECT_GE(explained["explanations"][0]["nprobe"], 1);
  EXPECT_GE(explained["explanations"][0]["rerank"], 10);
  RunJson({"calibrate", "words", "--rows", "0:5"}, kUsage);
  RunJson({"eval", "words", "--queries", WordNetFile("queries.npy"), "--groundtruth",
           WordNetFile("groundtruth.ivecs"), "--recall", "much"},
          kUsage);
}

TEST_F(CliEvalTest, TellsWhichStepLosesNeighbours) {
  Create("words");
  RunJson({"load", "words", WordNetFile("vectors.npy")});
  const auto eval = [&](std::vector<std::string> depth) {
    std::vector<std::string> arguments = {"eval",          "words",
                                          "--queries",     WordNetFile("queries.npy"),
                                          "--groundtruth", WordNetFile("groundtruth.ivecs"),
                                          "--limit",       "10",
                                          "--losses"};
    arguments.insert(arguments.end(), depth.begin(), depth.end());
    return RunJson(arguments)["rows"];
  };
  // Untrained, so exact.
  EXPECT_EQ(eval({})[0]["losses"],
            (Json{{"k", 10}, {"lists", 0.0}, {"codes", 0.0}, {"other", 0.0}}));

  RunJson({"train", "words", "--wait"});
  for (const Json& row : eval({"--nprobe", "1,default", "--recall", "0.5"})) {
    const Json& losses = row["losses"];
    const double lost = losses["lists"].get<double>() + losses["codes"].get<double>() +
                        losses["other"].get<double>();
    EXPECT_NEAR(row["recall_at_10"].get<double>() + lost, 1, 1e-9) << row;
    EXPECT_EQ(losses["other"], 0.0) << row;
  }
  // The server has looked by itself, too, at searches that went through lists.
  Json verified;
  for (int i = 0; i < 600 && !verified.is_object(); ++i) {
    verified = RunJson({"collection", "get", "words"})["verified_recall"];
    if (!verified.is_object()) absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_GE(verified["searches"], 1);
  EXPECT_GT(verified["recall"], 0.0);

  // In one list, with candidates enough; in all lists, by their codes.
  const Json shallow = eval({"--nprobe", "1", "--rerank", "5000"})[0]["losses"];
  EXPECT_GT(shallow["lists"], 0.05);
  EXPECT_LT(shallow["codes"], 0.005);
  const Json coarse = eval({"--nprobe", "10000", "--no-rerank"})[0]["losses"];
  EXPECT_EQ(coarse["lists"], 0.0);
  EXPECT_GT(coarse["codes"], 0.05);

  // What is no longer there is lost otherwise.
  std::vector<std::string> nearest;
  for (const auto& row : GetWordNet().ground_truth) nearest.push_back(absl::StrCat(row[0]));
  RunJson({"points", "delete", "words", "--id", absl::StrJoin(nearest, ",")});
  EXPECT_GE(eval({"--exact"})[0]["losses"]["other"], 0.1);

  ASSERT_OK_AND_ASSIGN(const CommandResult table,
                       Run({"eval", "words", "--queries", WordNetFile("queries.npy"),
                            "--groundtruth", WordNetFile("groundtruth.ivecs"), "--losses"}));
  EXPECT_THAT(table.out, AllOf(HasSubstr("LOST BY LISTS"), HasSubstr("BY CODES")));
}

}  // namespace
}  // namespace tessera
