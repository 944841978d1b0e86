#include "index/simd/convert.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "index/simd/reference.h"
#include "tests/index/simd/bounded_memory.h"
#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr ElementType kTypes[] = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kUint8,
                                  ElementType::kInt8};

VectorsView FloatRows(const std::vector<float>& values, size_t dim) {
  return {reinterpret_cast<const std::byte*>(values.data()), ElementType::kFloat32,
          values.size() / dim, dim};
}

// Small integers: exact in every type.
std::byte* FillSmallIntegers(ElementType type, size_t n, std::byte* out) {
  for (size_t i = 0; i < n; ++i) {
    const auto value = static_cast<float>((i * 37) % 128);
    const uint16_t half = reference::HalfFromFloat(value);
    const auto byte = static_cast<uint8_t>(value);
    switch (type) {
      case ElementType::kFloat32:
        std::memcpy(out + 4 * i, &value, 4);
        break;
      case ElementType::kFloat16:
        std::memcpy(out + 2 * i, &half, 2);
        break;
      case ElementType::kUint8:
      case ElementType::kInt8:
        std::memcpy(out + i, &byte, 1);
        break;
    }
  }
  return out;
}

TEST(ToFloatTest, EveryHalf) {
  std::vector<uint16_t> halves(0x10000);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> floats(halves.size());
  ForEachTarget([&] {
    ToFloat(ElementType::kFloat16, reinterpret_cast<const std::byte*>(halves.data()), halves.size(),
            floats.data());
    for (size_t i = 0; i < halves.size(); ++i) {
      const float want = reference::FloatFromHalf(halves[i]);
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(floats[i])) << i;
      } else {
        ASSERT_EQ(std::bit_cast<uint32_t>(floats[i]), std::bit_cast<uint32_t>(want)) << i;
      }
    }
  });
}

// Every type to every type, at every length, unaligned, with nothing to spare at the end.
TEST(ConvertTest, EveryPairOfTypesAndEveryLength) {
  ForEachTarget([] {
    for (ElementType from : kTypes) {
      for (ElementType to : kTypes) {
        for (size_t n = 1; n <= 150; ++n) {
          TightBytes in(n * ElementSize(from), /*misalignment=*/n % 7);
          TightBytes out(n * ElementSize(to), /*misalignment=*/n % 5);
          FillSmallIntegers(from, n, in.data());
          ASSERT_TRUE(ConvertVectors({in.data(), from, 1, n}, to, out.data()).ok());
          TightBytes want(n * ElementSize(to));
          FillSmallIntegers(to, n, want.data());
          ASSERT_EQ(std::memcmp(out.data(), want.data(), n * ElementSize(to)), 0)
              << static_cast<int>(from) << " to " << static_cast<int>(to) << ", " << n;
          std::vector<float> floats(n);
          ToFloat(from, in.data(), n, floats.data());
          for (size_t i = 0; i < n; ++i) ASSERT_EQ(floats[i], static_cast<float>((i * 37) % 128));
        }
      }
    }
  });
}

TEST(ConvertTest, RoundsToHalvesLikeTheReference) {
  std::mt19937 rng(1);
  std::vector<float> values;
  for (uint16_t half = 0; half < 0x7BFF; half += 3) {
    const float middle = (reference::FloatFromHalf(half) + reference::FloatFromHalf(half + 1)) / 2;
    values.insert(values.end(),
                  {middle, -middle, std::nextafter(middle, 1e9f), std::nextafter(middle, -1e9f)});
  }
  std::uniform_real_distribution<float> exponent(-30, 15.9f);
  for (int i = 0; i < 100'000; ++i) values.push_back(std::exp2(exponent(rng)));
  values.insert(values.end(), {0.0f, -0.0f, 65519.0f, std::numeric_limits<float>::denorm_min()});
  ForEachTarget([&] {
    std::vector<uint16_t> halves(values.size());
    ASSERT_TRUE(ConvertVectors(FloatRows(values, 1), ElementType::kFloat16,
                               reinterpret_cast<std::byte*>(halves.data()))
                    .ok());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(halves[i], reference::HalfFromFloat(values[i])) << values[i];
    }
  });
}

TEST(ConvertTest, EveryIntegerInRange) {
  ForEachTarget([] {
    for (ElementType type : {ElementType::kUint8, ElementType::kInt8}) {
      std::vector<float> values(256);
      for (int i = 0; i < 256; ++i) {
        values[i] = static_cast<float>(type == ElementType::kUint8 ? i : i - 128);
      }
      std::vector<std::byte> out(256);
      ASSERT_TRUE(ConvertVectors(FloatRows(values, 256), type, out.data()).ok());
      for (int i = 0; i < 256; ++i) {
        EXPECT_EQ(reference::Component(type, out.data(), i), values[i]);
      }
    }
  });
}

// The bad component may lie anywhere in a vector register, in the tail, or in a later chunk.
TEST(ConvertTest, NamesTheFirstBadComponent) {
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  const struct {
    ElementType type;
    float value;
    std::string message;
  } cases[] = {
      {ElementType::kFloat32, nan, "is NaN"},
      {ElementType::kFloat16, nan, "is NaN"},
      {ElementType::kUint8, nan, "is NaN"},
      {ElementType::kFloat16, -infinity, "is infinite"},
      {ElementType::kInt8, infinity, "is infinite"},
      {ElementType::kFloat16, 65520.0f, "is 65520, beyond 65504"},
      {ElementType::kFloat16, -1e38f, "beyond 65504"},
      {ElementType::kUint8, 256, "is 256, not an integer from 0 to 255"},
      {ElementType::kUint8, -1, "is -1, not"},
      {ElementType::kUint8, 1e30f, "not an integer"},
      {ElementType::kInt8, 128, "is 128, not an integer from -128 to 127"},
      {ElementType::kInt8, -129, "not an integer"},
      {ElementType::kInt8, 4294967296.0f, "not an integer"},
      {ElementType::kInt8, 0.5f, "is 0.5, not an integer"},
  };
  ForEachTarget([&] {
    for (const auto& c : cases) {
      for (size_t bad : {0, 1, 15, 16, 37, 38, 1500, 1519}) {
        std::vector<float> values(1520, 1.0f);
        values[bad] = c.value;
        values[1519] = c.value;
        std::vector<std::byte> out(1520 * 4);
        const absl::Status status = ConvertVectors(FloatRows(values, 38), c.type, out.data());
        ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.value;
        EXPECT_THAT(std::string(status.message()),
                    HasSubstr("vector " + std::to_string(bad / 38) + ": component " +
                              std::to_string(bad % 38) + " "));
        EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
      }
    }
  });
}

TEST(CheckFiniteTest, SeesEveryPlaceInBothFloatTypes) {
  ForEachTarget([] {
    for (size_t n : {1, 5, 16, 33, 64, 100}) {
      for (size_t bad = 0; bad < n; ++bad) {
        for (uint16_t bits : {0x7C00, 0xFC00, 0x7E00, 0x7C01}) {
          std::vector<uint16_t> halves(n, 0x7BFF);
          const VectorsView view = {reinterpret_cast<const std::byte*>(halves.data()),
                                    ElementType::kFloat16, 1, n};
          ASSERT_TRUE(CheckFinite(view).ok());
          halves[bad] = bits;
          EXPECT_THAT(std::string(CheckFinite(view).message()),
                      HasSubstr("vector 0: component " + std::to_string(bad) + " is "));
        }
        std::vector<float> floats(n, std::numeric_limits<float>::max());
        ASSERT_TRUE(CheckFinite(FloatRows(floats, n)).ok());
        floats[bad] = -std::numeric_limits<float>::infinity();
        EXPECT_THAT(std::string(CheckFinite(FloatRows(floats, n)).message()),
                    HasSubstr("vector 0: component " + std::to_string(bad) + " is infinite"));
      }
    }
  });
  const std::byte ones[] = {std::byte{0xFF}, std::byte{0xFF}};
  EXPECT_TRUE(CheckFinite({ones, ElementType::kUint8, 1, 2}).ok());
  EXPECT_TRUE(CheckFinite({nullptr, ElementType::kFloat32, 0, 4}).ok());
}

TEST(CheckComponentsTest, RefusesWhatIsOverTheLimit) {
  const auto most = static_cast<float>(limits::kComponentMax);
  const float more = std::nextafter(most, std::numeric_limits<float>::infinity());
  for (size_t n : {1, 5, 16, 33}) {
    std::vector<float> floats(2 * n, -most);
    VectorsView view = FloatRows(floats, n);
    ASSERT_EQ(view.rows, 2u);
    EXPECT_TRUE(CheckComponents(view).ok());
    for (size_t bad = 0; bad < 2 * n; ++bad) {
      for (float value : {more, -more, std::numeric_limits<float>::quiet_NaN()}) {
        floats[bad] = value;
        EXPECT_THAT(std::string(CheckComponents(view).message()),
                    HasSubstr("vector " + std::to_string(bad / n) + ": component " +
                              std::to_string(bad % n) + " is "));
      }
      floats[bad] = most;
    }
  }
  EXPECT_TRUE(CheckComponents({nullptr, ElementType::kFloat32, 0, 4}).ok());
}

TEST(NormalizeRowsTest, GivesUnitLengthWhateverTheMagnitude) {
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  for (float scale : {1.0f, 1e-38f, 1e-20f, 1e20f, 1e37f}) {
    for (size_t dim : {1, 3, 8, 100, 1023}) {
      std::vector<float> rows(3 * dim);
      for (float& value : rows) value = normal(rng) * scale;
      std::fill_n(rows.begin() + static_cast<ptrdiff_t>(dim), dim, 0.0f);
      const std::vector<float> before = rows;
      NormalizeRows(rows.data(), 3, dim);
      for (size_t r : {0, 2}) {
        double norm2 = 0, dot = 0, before_norm2 = 0;
        for (size_t i = r * dim; i < (r + 1) * dim; ++i) {
          norm2 += static_cast<double>(rows[i]) * rows[i];
          dot += static_cast<double>(rows[i]) * before[i];
          before_norm2 += static_cast<double>(before[i]) * before[i];
        }
        EXPECT_NEAR(norm2, 1, 1e-6);
        EXPECT_NEAR(dot / std::sqrt(before_norm2), 1, 1e-6);
      }
      for (size_t i = dim; i < 2 * dim; ++i) EXPECT_EQ(rows[i], 0.0f);
    }
  }
}

}  // namespace
}  // namespace tessera
