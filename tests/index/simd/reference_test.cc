#include "index/simd/reference.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace tessera::reference {
namespace {

TEST(HalfTest, KnownValues) {
  EXPECT_EQ(FloatFromHalf(0x3C00), 1.0f);
  EXPECT_EQ(FloatFromHalf(0xC000), -2.0f);
  EXPECT_EQ(FloatFromHalf(0x7BFF), 65504.0f);
  EXPECT_EQ(FloatFromHalf(0x0400), std::ldexp(1.0f, -14));
  EXPECT_EQ(FloatFromHalf(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(FloatFromHalf(0x7C00), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(FloatFromHalf(0x7E00)));
  EXPECT_TRUE(std::signbit(FloatFromHalf(0x8000)));
}

TEST(HalfTest, EveryValueRoundTrips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = FloatFromHalf(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(FloatFromHalf(HalfFromFloat(value))));
    } else {
      ASSERT_EQ(HalfFromFloat(value), half) << bits;
    }
  }
}

// Half way between two neighbours goes to the even one; anything more or less to the nearer.
TEST(HalfTest, RoundsToNearestEven) {
  for (uint16_t half = 0; half < 0x7BFF; ++half) {
    const float low = FloatFromHalf(half);
    const float high = FloatFromHalf(half + 1);
    const float middle = (low + high) / 2;  // exact: a float has 13 more bits
    const uint16_t even = half % 2 == 0 ? half : half + 1;
    ASSERT_EQ(HalfFromFloat(middle), even);
    ASSERT_EQ(HalfFromFloat(std::nextafter(middle, 0.0f)), half);
    ASSERT_EQ(HalfFromFloat(std::nextafter(middle, 1e9f)), half + 1);
    ASSERT_EQ(HalfFromFloat(-middle), even | 0x8000);
  }
  EXPECT_EQ(HalfFromFloat(65519.996f), 0x7BFF);
  EXPECT_EQ(HalfFromFloat(65520.0f), 0x7C00);
  EXPECT_EQ(HalfFromFloat(1e30f), 0x7C00);
  EXPECT_EQ(HalfFromFloat(std::ldexp(1.0f, -26)), 0);
  EXPECT_EQ(HalfFromFloat(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(ReferenceTest, ComponentsOfEveryType) {
  const float floats[] = {1.5f, -2.5f};
  EXPECT_EQ(Component(ElementType::kFloat32, reinterpret_cast<const std::byte*>(floats), 1), -2.5f);
  const uint16_t halves[] = {0x3C00, 0xC000};
  EXPECT_EQ(Component(ElementType::kFloat16, reinterpret_cast<const std::byte*>(halves), 1), -2.0f);
  const std::byte bytes[] = {std::byte{0}, std::byte{200}};
  EXPECT_EQ(Component(ElementType::kUint8, bytes, 1), 200.0f);
  EXPECT_EQ(Component(ElementType::kInt8, bytes, 1), -56.0f);
}

TEST(ReferenceTest, DistancesByHand) {
  const float query[] = {3, 4};
  const float row[] = {4, 3};
  const auto* bytes = reinterpret_cast<const std::byte*>(row);
  EXPECT_EQ(ExactDistance(Metric::kL2, ElementType::kFloat32, query, bytes), 2.0f);
  EXPECT_EQ(ExactDistance(Metric::kInnerProduct, ElementType::kFloat32, query, bytes), -24.0f);
  EXPECT_FLOAT_EQ(ExactDistance(Metric::kCosine, ElementType::kFloat32, query, bytes), -0.96f);
}

}  // namespace
}  // namespace tessera::reference
