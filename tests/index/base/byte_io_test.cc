#include "index/base/byte_io.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ByteWriterTest, LaysNumbersOutLittleEndian) {
  ByteWriter writer;
  writer.WriteU8(0x01);
  writer.WriteU16(0x0302);
  writer.WriteU32(0x07060504);
  writer.WriteU64(0x0F0E0D0C0B0A0908);
  writer.WriteF32(1.0f);
  EXPECT_EQ(writer.view(),
            std::string("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"
                        "\x00\x00\x80\x3F",
                        19));
}

TEST(ByteIoTest, RoundTripsEveryKind) {
  ByteWriter writer;
  writer.WriteU8(200);
  writer.WriteU16(60000);
  writer.WriteU32(4'000'000'000u);
  writer.WriteU64(std::numeric_limits<uint64_t>::max());
  writer.WriteI64(std::numeric_limits<int64_t>::min());
  writer.WriteF32(-0.5f);
  writer.WriteF64(1e300);
  writer.WriteString(std::string("a\0b", 3));
  writer.WriteString("");
  writer.WriteArray(std::span<const float>(std::vector<float>{1.5f, -2.5f}));
  writer.WriteArray(std::span<const int16_t>(std::vector<int16_t>{-3, 4}));
  writer.WriteBytes("xyz");
  const std::string bytes = writer.Take();
  EXPECT_EQ(writer.size(), 0u);

  ByteReader reader(bytes);
  uint8_t u8;
  uint16_t u16;
  uint32_t u32;
  uint64_t u64;
  int64_t i64;
  float f32;
  double f64;
  std::string text, empty = "not empty";
  std::vector<float> floats;
  std::vector<int16_t> shorts;
  std::string_view tail;
  ASSERT_TRUE(reader.ReadU8(&u8) && reader.ReadU16(&u16) && reader.ReadU32(&u32) &&
              reader.ReadU64(&u64) && reader.ReadI64(&i64) && reader.ReadF32(&f32) &&
              reader.ReadF64(&f64) && reader.ReadString(3, &text) && reader.ReadString(0, &empty) &&
              reader.ReadArray(2, &floats) && reader.ReadArray(2, &shorts) &&
              reader.ReadBytes(3, &tail));
  EXPECT_EQ(u8, 200);
  EXPECT_EQ(u16, 60000);
  EXPECT_EQ(u32, 4'000'000'000u);
  EXPECT_EQ(u64, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(i64, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(f32, -0.5f);
  EXPECT_EQ(f64, 1e300);
  EXPECT_EQ(text, std::string("a\0b", 3));
  EXPECT_EQ(empty, "");
  EXPECT_THAT(floats, ElementsAre(1.5f, -2.5f));
  EXPECT_THAT(shorts, ElementsAre(-3, 4));
  EXPECT_EQ(tail, "xyz");
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_TRUE(reader.ExpectEnd("record").ok());
}

TEST(ByteWriterTest, PatchesANumberInPlace) {
  ByteWriter writer;
  writer.WriteU32(0);
  writer.WriteBytes("rest");
  writer.PatchU32(0, 0x01020304);
  EXPECT_EQ(writer.view(), "\x04\x03\x02\x01rest");
}

TEST(ByteWriterDeathTest, PatchOutsideIsABrokenInvariant) {
  ByteWriter writer;
  writer.WriteU32(0);
  EXPECT_DEATH(writer.PatchU32(1, 5), "broken invariant");
}

// Every proper prefix of a record must fail somewhere, and never read past its end.
TEST(ByteReaderTest, EveryPrefixFails) {
  ByteWriter writer;
  writer.WriteU64(7);
  writer.WriteString("name");
  writer.WriteArray(std::span<const double>(std::vector<double>{1, 2, 3}));
  const std::string bytes = writer.Take();
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const std::vector<char> exact(bytes.begin(), bytes.begin() + size);
    ByteReader reader(exact.data(), exact.size());
    uint64_t number;
    std::string_view name;
    std::vector<double> values;
    const bool complete =
        reader.ReadU64(&number) && reader.ReadString(10, &name) && reader.ReadArray(3, &values);
    EXPECT_EQ(complete, size == bytes.size()) << size;
    EXPECT_EQ(reader.ok(), complete);
  }
}

TEST(ByteReaderTest, HugeCountsFailBeforeAnyAllocation) {
  const std::string bytes(64, 'x');
  std::vector<uint64_t> values = {9};
  for (uint64_t count : {uint64_t{9}, uint64_t{1} << 40, uint64_t{1} << 61, (uint64_t{1} << 61) + 1,
                         std::numeric_limits<uint64_t>::max()}) {
    ByteReader reader(bytes);
    EXPECT_FALSE(reader.HasRoomFor(count, 8)) << count;
    EXPECT_TRUE(reader.ok());
    EXPECT_FALSE(reader.ReadArray(count, &values)) << count;
    EXPECT_THAT(values, ElementsAre(9));
  }
  ByteReader reader(bytes);
  EXPECT_TRUE(reader.HasRoomFor(8, 8));
  EXPECT_FALSE(reader.Skip(std::numeric_limits<uint64_t>::max()));
}

TEST(ByteReaderTest, FailureConsumesNothingAndSticks) {
  const std::string bytes("\x05\0\0\0abc", 7);
  ByteReader reader(bytes);
  std::string value = "old";
  EXPECT_FALSE(reader.ReadString(100, &value));
  EXPECT_EQ(value, "old");
  EXPECT_EQ(reader.offset(), 0u);
  uint8_t byte = 42;
  EXPECT_FALSE(reader.ReadU8(&byte));
  EXPECT_EQ(byte, 42);
  EXPECT_FALSE(reader.ok());
}

TEST(ByteReaderTest, StringOverItsLimitFails) {
  ByteWriter writer;
  writer.WriteString("abcd");
  ByteReader reader(writer.view());
  std::string value;
  EXPECT_FALSE(reader.ReadString(3, &value));
}

TEST(ByteReaderTest, EmptyInput) {
  ByteReader reader(std::string_view{});
  std::string_view bytes;
  std::vector<float> floats = {1};
  EXPECT_TRUE(reader.ReadBytes(0, &bytes));
  EXPECT_TRUE(reader.ReadArray(0, &floats));
  EXPECT_TRUE(floats.empty());
  EXPECT_TRUE(reader.AtEnd());
  uint8_t byte;
  EXPECT_FALSE(reader.ReadU8(&byte));
}

TEST(ByteReaderTest, ErrorsNameThePlace) {
  ByteReader reader(std::string_view("abcdef"));
  uint32_t head;
  ASSERT_TRUE(reader.ReadU32(&head));
  EXPECT_EQ(reader.ExpectEnd("list header").code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(reader.ExpectEnd("list header").message()),
              HasSubstr("list header: 2 bytes too many after byte 4"));
  EXPECT_FALSE(reader.ReadU32(&head));
  EXPECT_THAT(std::string(reader.ExpectEnd("list header").message()),
              HasSubstr("list header: at byte 4 of 6"));
}

}  // namespace
}  // namespace tessera
