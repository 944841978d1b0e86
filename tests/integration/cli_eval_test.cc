// Recall through the CLI's binary: asked for and measured.
#include "gtest/gtest.h"
#include "tests/integration/cli_fixture.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

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
  RunJson({"calibrate", "words", "--rows", "0:5"}, kUsage);
  RunJson({"eval", "words", "--queries", WordNetFile("queries.npy"), "--groundtruth",
           WordNetFile("groundtruth.ivecs"), "--recall", "much"},
          kUsage);
}

}  // namespace
}  // namespace tessera
