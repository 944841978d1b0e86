#include "index/ivf/codebook_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "index/base/crc32c.h"
#include "index/cluster/random.h"
#include "index/ivf/codebook.h"

namespace tessera {
namespace {

// Offsets of the format, from the grammar in index/ivf/README.md.
constexpr size_t kHeaderBytes = 8 + 4 + 4;
constexpr size_t kSpecPayload = kHeaderBytes + 12;
constexpr size_t kSpecBytes = 1 + 4 * 4 + 8 + 2 * 4 + 8 + 8;
constexpr size_t kOriginPayload = kSpecPayload + kSpecBytes + 4 + 12;
constexpr size_t kCentroidsPayload = kOriginPayload + 5 * 4 + 4 + 12;

std::shared_ptr<const Codebook> SmallCodebook() {
  Random random(1);
  Matrix points(60, 5);
  for (size_t i = 0; i < 300; ++i) points.data()[i] = static_cast<float>(random.Uniform());
  InlineExecutor executor;
  auto codebook = Codebook::Train(
      {.metric = Metric::kCosine, .dimension = 5, .nlist = 3, .subquantizers = 2, .nbits = 4},
      points, executor, nullptr);
  EXPECT_TRUE(codebook.ok()) << codebook.status();
  return *codebook;
}

absl::StatusCode ParseCode(const std::string& bytes) {
  return Codebook::Parse(bytes).status().code();
}

// The bytes with `size` of them at `offset` replaced, and the checksum of the spec section made
// right again: what a writer that lies would produce.
std::string WithSpecField(std::string bytes, size_t offset, const void* value, size_t size) {
  std::memcpy(bytes.data() + kSpecPayload + offset, value, size);
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(kHeaderBytes, 12 + kSpecBytes));
  std::memcpy(bytes.data() + kSpecPayload + kSpecBytes, &crc, 4);
  return bytes;
}

TEST(CodebookFormat, RoundTrip) {
  const auto codebook = SmallCodebook();
  const std::string bytes = codebook->Serialize();
  const auto parsed = Codebook::Parse(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ((*parsed)->Serialize(), bytes);
  EXPECT_EQ((*parsed)->metric(), Metric::kCosine);
  EXPECT_EQ((*parsed)->dimension(), 5u);
  EXPECT_EQ((*parsed)->nlist(), 3u);
  EXPECT_EQ((*parsed)->subquantizers(), 2u);
  EXPECT_EQ((*parsed)->nbits(), 4u);
  EXPECT_EQ((*parsed)->spec().seed, codebook->spec().seed);
  EXPECT_EQ((*parsed)->training_vectors(), 60u);
  EXPECT_EQ((*parsed)->mean_squared_error(), codebook->mean_squared_error());
  EXPECT_EQ((*parsed)->memory_bytes(), codebook->memory_bytes());
}

TEST(CodebookFormat, EveryTruncationIsAnError) {
  const std::string bytes = SmallCodebook()->Serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(ParseCode(bytes.substr(0, size)), absl::StatusCode::kDataLoss) << size;
  }
}

TEST(CodebookFormat, EveryFlippedBitIsAnError) {
  const std::string bytes = SmallCodebook()->Serialize();
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ASSERT_EQ(ParseCode(damaged), absl::StatusCode::kDataLoss) << "bit " << bit;
  }
}

TEST(CodebookFormat, TrailingBytesAreAnError) {
  EXPECT_EQ(ParseCode(SmallCodebook()->Serialize() + '\0'), absl::StatusCode::kDataLoss);
}

TEST(CodebookFormat, NewerVersionIsUnimplemented) {
  std::string bytes = SmallCodebook()->Serialize();
  bytes[8] = 2;
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, 12));
  std::memcpy(bytes.data() + 12, &crc, 4);
  EXPECT_EQ(ParseCode(bytes), absl::StatusCode::kUnimplemented);
}

// Fields whose checksum is right but whose value no codebook has. The counts are as large as they
// can be, so that an allocation before the check would show.
TEST(CodebookFormat, FieldsThatLieAreErrors) {
  const std::string bytes = SmallCodebook()->Serialize();
  EXPECT_EQ(ParseCode(WithSpecField(bytes, 0, "\3", 1)), absl::StatusCode::kOk);
  const uint8_t metric = 4;
  EXPECT_EQ(ParseCode(WithSpecField(bytes, 0, &metric, 1)), absl::StatusCode::kDataLoss);
  for (size_t offset : {1, 5, 9, 13}) {  // dimension, nlist, subquantizers, nbits
    for (uint32_t value : {0u, 1u, 6u, 8u, 32'768u, 1u << 20, 0x8000'0000u, 0xFFFF'FFFFu}) {
      EXPECT_EQ(ParseCode(WithSpecField(bytes, offset, &value, 4)), absl::StatusCode::kDataLoss)
          << "offset " << offset << " value " << value;
    }
  }
  for (double value : {std::nan(""), std::numeric_limits<double>::infinity(), -1.0}) {
    EXPECT_EQ(ParseCode(WithSpecField(bytes, kSpecBytes - 8, &value, 8)),
              absl::StatusCode::kDataLoss);
  }
}

TEST(CodebookFormat, NonFiniteComponentsAreErrors) {
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::string bytes = SmallCodebook()->Serialize();
    std::memcpy(bytes.data() + kCentroidsPayload + 4, &value, 4);
    const size_t covered = 12 + 3 * 5 * sizeof(float);
    const uint32_t crc = Crc32c(std::string_view(bytes).substr(kCentroidsPayload - 12, covered));
    std::memcpy(bytes.data() + kCentroidsPayload - 12 + covered, &crc, 4);
    const auto parsed = Codebook::Parse(bytes);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(parsed.status().message()), testing::HasSubstr("component 1 of row 0"));
  }
}

}  // namespace
}  // namespace tessera
