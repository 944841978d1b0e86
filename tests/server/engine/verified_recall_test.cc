#include "server/engine/verified_recall.h"

#include <cmath>

#include "gtest/gtest.h"

namespace tessera {
namespace {

TEST(VerifiedRecall, IsTheMeanOfTheLastThousand) {
  VerifiedRecall verified;
  EXPECT_FALSE(verified.Of(0).has_value());
  verified.Add(1, 0.5);
  EXPECT_EQ(verified.Of(1)->searches, 1u);
  EXPECT_EQ(verified.Of(1)->recall, 0.5);
  EXPECT_DOUBLE_EQ(verified.Of(1)->standard_error, std::sqrt(0.25 / 3));  // of 0.5, 0 and 1
  verified.Add(1, 1);
  EXPECT_EQ(verified.Of(1)->recall, 0.75);
  EXPECT_DOUBLE_EQ(verified.Of(1)->standard_error, std::sqrt(0.6875 / 3 / 4));
  for (int i = 0; i < 1'000; ++i) verified.Add(1, 0.25);
  EXPECT_EQ(verified.Of(1)->searches, 1'000u);
  EXPECT_DOUBLE_EQ(verified.Of(1)->recall, 0.25);
}

TEST(VerifiedRecall, IsNotCertainAfterAFew) {
  VerifiedRecall verified;
  for (int i = 0; i < 3; ++i) verified.Add(1, 1);
  EXPECT_EQ(verified.Of(1)->recall, 1);
  EXPECT_DOUBLE_EQ(verified.Of(1)->standard_error, 0.2);
  for (int i = 0; i < 997; ++i) verified.Add(1, 1);
  EXPECT_LT(verified.Of(1)->standard_error, 0.002);
}

TEST(VerifiedRecall, IsOfOneCodebook) {
  VerifiedRecall verified;
  verified.Add(1, 0.5);
  EXPECT_FALSE(verified.Of(2).has_value());
  verified.Add(2, 1);
  EXPECT_FALSE(verified.Of(1).has_value());
  EXPECT_EQ(verified.Of(2)->searches, 1u);
  EXPECT_EQ(verified.Of(2)->recall, 1);
}

}  // namespace
}  // namespace tessera
