#include "client/cli/progress.h"

#include <algorithm>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

using ::testing::HasSubstr;

TEST(RenderProgress, ShowsShareCountsRateAndTimeLeft) {
  EXPECT_EQ(RenderProgress({"load words", "points", 452'000, 1'000'000, 38'120}, 10),
            "load words  [####------]  45.2%  452,000 / 1,000,000 points  38,120/s  ETA 0:14");
  EXPECT_EQ(RenderProgress({"load words", "points", 452'000, 1'000'000, 38'120}, 0),
            "load words  45.2%  452,000 / 1,000,000 points  38,120/s  ETA 0:14");
}

TEST(RenderProgress, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ(RenderProgress({"train", "", 3, 0, 0}, 10), "train  3");
  EXPECT_EQ(RenderProgress({"train", "", 10, 10, 0}, 4), "train  [####]  100.0%  10 / 10");
  EXPECT_EQ(RenderProgress({"train", "", 10, 10, 5}, 4), "train  [####]  100.0%  10 / 10  5.00/s");
  // More than the total, as an estimate may turn out: the bar does not overflow.
  EXPECT_EQ(RenderProgress({"train", "", 20, 10, 0}, 4), "train  [####]  100.0%  20 / 10");
}

class ProgressBarTest : public ::testing::Test {
 protected:
  ProgressBar Make(size_t columns) {
    return ProgressBar(out_, columns, [this] { return now_; });
  }
  long Lines() const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), '\n');
  }

  std::ostringstream out_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(ProgressBarTest, RedrawsOneLineOnATerminal) {
  ProgressBar bar = Make(120);
  for (uint64_t i = 0; i <= 100; ++i) {
    bar.Update("load", "points", i * 10, 1000);
    now_ += absl::Milliseconds(50);
  }
  bar.Finish();
  EXPECT_EQ(Lines(), 1);
  EXPECT_THAT(out_.str(), HasSubstr("\rload  [###"));
  EXPECT_THAT(out_.str(), HasSubstr("100.0%  1,000 / 1,000 points"));
  const std::string text = out_.str();
  // At most every 100 ms, and the first and the last.
  EXPECT_LE(std::count(text.begin(), text.end(), '\r'), 53);
  EXPECT_GE(std::count(text.begin(), text.end(), '\r'), 40);
}

TEST_F(ProgressBarTest, WritesALineNowAndThenElsewhere) {
  ProgressBar bar = Make(0);
  for (uint64_t i = 0; i < 120; ++i) {
    bar.Update("load", "points", i * 10, 1200);
    now_ += absl::Milliseconds(100);
  }
  bar.Finish();
  EXPECT_EQ(Lines(), 3);  // after 5 and 10 of 12 seconds, and at the end
  EXPECT_THAT(out_.str(), Not(HasSubstr("\r")));
  EXPECT_THAT(out_.str(), HasSubstr("100/s  ETA 0:07"));
}

TEST_F(ProgressBarTest, ANewLabelBeginsANewLine) {
  ProgressBar bar = Make(120);
  bar.Update("train: sample", "", 5, 5);
  bar.Update("train: k-means", "", 1, 20);
  bar.Finish();
  EXPECT_EQ(Lines(), 2);
  EXPECT_THAT(out_.str(), HasSubstr("train: sample"));
  EXPECT_THAT(out_.str(), HasSubstr("train: k-means"));
}

TEST_F(ProgressBarTest, FitsItsTerminal) {
  for (const size_t columns : {1, 2, 10, 40, 60, 70, 80, 200}) {
    out_.str("");
    ProgressBar bar = Make(columns);
    bar.Update("load words", "points", 452'000, 1'000'000);
    bar.Finish();
    std::string line = out_.str().substr(1);
    line.resize(line.find('\x1b'));
    EXPECT_LT(line.size(), columns) << line;
    if (columns >= 60) {
      EXPECT_THAT(line, HasSubstr("452,000 / 1,000,000 points"));
    }
  }
}

TEST_F(ProgressBarTest, CompleteReachesTheTotal) {
  ProgressBar bar = Make(0);
  bar.Update("train: encoding", "", 15'360, 25'000);
  bar.Complete();
  EXPECT_THAT(out_.str(), HasSubstr("100.0%  25,000 / 25,000"));
  bar.Complete();
  EXPECT_EQ(Lines(), 1);
}

TEST_F(ProgressBarTest, SaysNothingAboutNothing) {
  Make(120).Finish();
  EXPECT_EQ(out_.str(), "");
}

}  // namespace
}  // namespace tessera::cli
