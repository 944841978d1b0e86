#include "client/cpp/vectors.h"

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

TEST(HalfToFloat, KnowsEveryClassOfValue) {
  EXPECT_EQ(HalfToFloat(0x0000), 0.0f);
  EXPECT_TRUE(std::signbit(HalfToFloat(0x8000)));
  EXPECT_EQ(HalfToFloat(0x3C00), 1.0f);
  EXPECT_EQ(HalfToFloat(0xC000), -2.0f);
  EXPECT_EQ(HalfToFloat(0x7BFF), 65504.0f);
  EXPECT_EQ(HalfToFloat(0x0001), 0x1p-24f);
  EXPECT_EQ(HalfToFloat(0x03FF), 1023 * 0x1p-24f);
  EXPECT_EQ(HalfToFloat(0x0400), 0x1p-14f);
  EXPECT_EQ(HalfToFloat(0x3555), 0.333251953125f);
  EXPECT_EQ(HalfToFloat(0x7C00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(HalfToFloat(0xFC00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(HalfToFloat(0x7E00)));
}

TEST(MakeVectors, KeepsBytesAsTheyAre) {
  const v1::Vectors vectors = MakeVectors(std::string("\x01\xFF", 2), ElementType::kInt8);
  EXPECT_EQ(vectors.data(), std::string("\x01\xFF", 2));
  EXPECT_EQ(vectors.element_type(), v1::INT8);
  EXPECT_EQ(vectors.values_size(), 0);
}

TEST(ToFloats, ReadsEveryForm) {
  const std::vector<float> floats = {1.5f, -2.0f};
  EXPECT_THAT(*ToFloats(MakeVectors(floats)), ElementsAre(1.5f, -2.0f));
  v1::Vectors values;
  values.add_values(3.0f);
  EXPECT_THAT(*ToFloats(values), ElementsAre(3.0f));
  EXPECT_THAT(*ToFloats(MakeVectors(std::string("\x00\x3C\x00\xC0", 4), ElementType::kFloat16)),
              ElementsAre(1.0f, -2.0f));
  EXPECT_THAT(*ToFloats(MakeVectors("\xFF\x01", ElementType::kUint8)), ElementsAre(255.0f, 1.0f));
  EXPECT_THAT(*ToFloats(MakeVectors("\xFF\x01", ElementType::kInt8)), ElementsAre(-1.0f, 1.0f));
  EXPECT_THAT(*ToFloats(v1::Vectors()), ElementsAre());
}

TEST(ToFloats, RefusesHalfAComponent) {
  EXPECT_EQ(ToFloats(MakeVectors("abc", ElementType::kFloat32)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ToFloats(MakeVectors("abc", ElementType::kFloat16)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ElementTypes, GoBothWays) {
  for (const ElementType type :
       {ElementType::kFloat32, ElementType::kFloat16, ElementType::kUint8, ElementType::kInt8}) {
    EXPECT_EQ(*ElementTypeFromProto(ElementTypeToProto(type)), type);
  }
  EXPECT_EQ(*ElementTypeFromProto(v1::ELEMENT_TYPE_UNSPECIFIED), ElementType::kFloat32);
  EXPECT_FALSE(ElementTypeFromProto(static_cast<v1::ElementType>(99)).ok());
}

TEST(PointIds, AreNumbersOrStrings) {
  EXPECT_EQ(MakePointId(uint64_t{7}).num(), 7u);
  EXPECT_EQ(MakePointId("7").str(), "7");
  const std::vector<uint64_t> nums = {3, 1};
  EXPECT_THAT(MakePointIds(nums).num(), ElementsAre(3, 1));
}

}  // namespace
}  // namespace tessera
