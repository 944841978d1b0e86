#include "index/codebook/codebook_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "index/cluster/random.h"
#include "index/codebook/codebook.h"
#include "index/simd/convert.h"
#include "tests/index/low_rank.h"
#include "tests/index/uneven.h"

namespace tessera {
namespace {

// Offsets of the format, from the grammar in index/codebook/README.md.
constexpr size_t kHeaderBytes = 8 + 4 + 4;
constexpr size_t kSpecPayload = kHeaderBytes + 12;
constexpr size_t kSpecBytes = 1 + 4 * 4 + 8 + 2 * 4 + 8 + 8;
constexpr size_t kMeasuredBytes = 4 + 8 + 2 * 4;  // more of it, from version 3 on
constexpr size_t kOriginPayload = kSpecPayload + kSpecBytes + 4 + 12;
constexpr size_t kCentroidsPayload = kOriginPayload + 5 * 4 + 4 + 12;

constexpr size_t kRotationPayload = kCentroidsPayload + 3 * 5 * 4 + 4 + 12;
constexpr size_t kRotationBytes = 2 * 5 * 4;

// What each version of the format is for. Of vectors that lie in a plane, nearly, residuals are
// rotated: from five components to two. Of few vectors nothing is measured. L2 has the lengths of
// vectors that are alike in a version of its own, and so have radii where they differ, and rules of
// how many lists each query probes.
enum Kind { kPlain = 1, kRotated = 2, kMeasured = 3, kL2Length = 4, kRadii = 5, kProbeRule = 6 };

uint32_t ListsOf(Kind kind) { return kind == kProbeRule ? 64 : 3; }

Metric MetricOf(Kind kind) {
  if (kind == kL2Length || kind == kProbeRule) return Metric::kL2;
  return kind == kRadii ? Metric::kInnerProduct : Metric::kCosine;
}

std::shared_ptr<const Codebook> SmallCodebook(Kind kind = kPlain) {
  Random random(1);
  const bool measured = kind >= kMeasured;
  Matrix points(measured ? 1'000 : 60, measured ? 4 : 5);
  for (size_t i = 0; i < points.rows() * points.cols(); ++i) {
    points.data()[i] = static_cast<float>(random.Uniform());
  }
  if (kind == kRotated) points = test::LowRank(200, 5, 2, 0.01f, 1);
  if (kind == kL2Length) NormalizeRows(points.data(), points.rows(), points.cols());
  if (kind == kProbeRule) points = test::Uneven(2'000, 12, 1);
  InlineExecutor executor;
  auto codebook = Codebook::Train({.metric = MetricOf(kind),
                                   .dimension = static_cast<uint32_t>(points.cols()),
                                   .nlist = ListsOf(kind),
                                   .subquantizers = 2,
                                   .nbits = 4},
                                  points, executor, nullptr);
  EXPECT_TRUE(codebook.ok()) << codebook.status();
  EXPECT_EQ((*codebook)->rotation().is_none(), kind != kRotated);
  EXPECT_EQ((*codebook)->search_needs().nprobe > 0, measured);
  EXPECT_EQ((*codebook)->probe_rule().empty(), kind != kProbeRule);
  return *codebook;
}

absl::StatusCode ParseCode(const std::string& bytes) {
  return Codebook::Parse(bytes).status().code();
}

// The bytes with `size` of them at `offset` replaced, and the checksum of the spec section made
// right again: what a writer that lies would produce.
std::string WithSpecField(std::string bytes, size_t offset, const void* value, size_t size) {
  const size_t spec = kSpecBytes + (bytes[8] >= kMeasured ? kMeasuredBytes : 0);
  std::memcpy(bytes.data() + kSpecPayload + offset, value, size);
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(kHeaderBytes, 12 + spec));
  std::memcpy(bytes.data() + kSpecPayload + spec, &crc, 4);
  return bytes;
}

class CodebookFormat : public testing::TestWithParam<Kind> {
 protected:
  const std::shared_ptr<const Codebook> codebook_ = SmallCodebook(GetParam());
};

TEST_P(CodebookFormat, RoundTrip) {
  const auto codebook = codebook_;
  const std::string bytes = codebook->Serialize();
  const auto parsed = Codebook::Parse(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ((*parsed)->Serialize(), bytes);
  EXPECT_EQ(bytes[8], GetParam()) << "the version";
  EXPECT_EQ((*parsed)->metric(), codebook->metric());
  EXPECT_EQ((*parsed)->dimension(), codebook->dimension());
  EXPECT_EQ((*parsed)->nlist(), ListsOf(GetParam()));
  EXPECT_EQ((*parsed)->subquantizers(), 2u);
  EXPECT_EQ((*parsed)->nbits(), 4u);
  EXPECT_EQ((*parsed)->spec().seed, codebook->spec().seed);
  EXPECT_EQ((*parsed)->training_vectors(), codebook->training_vectors());
  EXPECT_EQ((*parsed)->rotation().reduced(), GetParam() == kRotated ? 2u : 0u);
  EXPECT_EQ((*parsed)->rotation().deviation(), codebook->rotation().deviation());
  EXPECT_EQ((*parsed)->mean_squared_error(), codebook->mean_squared_error());
  EXPECT_EQ((*parsed)->search_needs(), codebook->search_needs());
  EXPECT_EQ((*parsed)->query_length(), codebook->query_length());
  EXPECT_EQ((*parsed)->query_length() > 0, GetParam() != kRadii && GetParam() != kProbeRule);
  EXPECT_EQ((*parsed)->radii().size(), GetParam() == kRadii ? 3u : 0u);
  EXPECT_TRUE(std::ranges::equal((*parsed)->radii(), codebook->radii()));
  EXPECT_EQ((*parsed)->probe_rule(), codebook->probe_rule());
  EXPECT_EQ((*parsed)->memory_bytes(), codebook->memory_bytes());
}

TEST_P(CodebookFormat, EveryTruncationIsAnError) {
  const std::string bytes = codebook_->Serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(ParseCode(bytes.substr(0, size)), absl::StatusCode::kDataLoss) << size;
  }
}

TEST_P(CodebookFormat, EveryFlippedBitIsAnError) {
  const std::string bytes = codebook_->Serialize();
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ASSERT_EQ(ParseCode(damaged), absl::StatusCode::kDataLoss) << "bit " << bit;
  }
}

TEST_P(CodebookFormat, TrailingBytesAreAnError) {
  EXPECT_EQ(ParseCode(codebook_->Serialize() + '\0'), absl::StatusCode::kDataLoss);
}

TEST_P(CodebookFormat, NewerVersionIsUnimplemented) {
  std::string bytes = codebook_->Serialize();
  bytes[8] = 7;
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, 12));
  std::memcpy(bytes.data() + 12, &crc, 4);
  EXPECT_EQ(ParseCode(bytes), absl::StatusCode::kUnimplemented);
}

// Fields whose checksum is right but whose value no codebook has. The counts are as large as they
// can be, so that an allocation before the check would show.
TEST(CodebookFields, FieldsThatLieAreErrors) {
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

TEST(CodebookFields, MeasurementsThatLieAreErrors) {
  const std::string bytes = SmallCodebook(kMeasured)->Serialize();
  const auto code_of = [&](char metric, float length, uint64_t points, uint32_t nprobe,
                           uint32_t rerank) {
    std::string changed = WithSpecField(bytes, 0, &metric, 1);
    size_t offset = kSpecBytes;
    const auto set = [&](const auto& value) {
      changed = WithSpecField(changed, offset, &value, sizeof(value));
      offset += sizeof(value);
    };
    set(length);
    set(points);
    set(nprobe);
    set(rerank);
    EXPECT_EQ(offset, kSpecBytes + kMeasuredBytes);
    return ParseCode(changed);
  };
  constexpr char kL2 = 1, kProduct = 2, kCosine = 3;
  EXPECT_EQ(code_of(kProduct, 2.5f, 1'000, 3, 100), absl::StatusCode::kOk);
  EXPECT_EQ(code_of(kCosine, 0, 1'000, 3, 100), absl::StatusCode::kOk);
  EXPECT_EQ(code_of(kProduct, 2.5f, 0, 0, 0), absl::StatusCode::kOk);
  EXPECT_EQ(code_of(kCosine, 0, 0, 0, 0), absl::StatusCode::kDataLoss) << "is of version 1";
  EXPECT_EQ(code_of(kCosine, 0, 1'000, 4, 100), absl::StatusCode::kDataLoss) << "of three lists";
  EXPECT_EQ(code_of(kCosine, 0, 999, 3, 100), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code_of(kCosine, 0, 1'000, 0, 100), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code_of(kCosine, 0, 0, 3, 100), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code_of(kCosine, 0, 1'000, 3, 0), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code_of(kCosine, 0, 1'000, 3, limits::kRerankMax + 1), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code_of(kCosine, 1, 1'000, 3, 100), absl::StatusCode::kDataLoss) << "needs no length";
  EXPECT_EQ(code_of(kL2, 0, 1'000, 3, 100), absl::StatusCode::kOk);
  EXPECT_EQ(code_of(kL2, 1, 1'000, 3, 100), absl::StatusCode::kDataLoss) << "is of version 4";
  for (float length :
       {-1.0f, 1e-20f, 1e20f, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    EXPECT_EQ(code_of(kProduct, length, 1'000, 3, 100), absl::StatusCode::kDataLoss) << length;
  }
}

TEST(CodebookFields, RadiiThatLieAreErrors) {
  const std::string bytes = SmallCodebook(kRadii)->Serialize();
  const size_t payload =
      kSpecPayload + kSpecBytes + kMeasuredBytes + 4 + (12 + 4 * 4 + 4) + (12 + 3 * 4 * 4 + 4) + 12;
  const auto with_radius = [&](float radius) {
    std::string changed = bytes;
    std::memcpy(changed.data() + payload + 4, &radius, 4);
    const uint32_t crc = Crc32c(std::string_view(changed).substr(payload - 12, 12 + 3 * 4));
    std::memcpy(changed.data() + payload + 3 * 4, &crc, 4);
    return ParseCode(changed);
  };
  EXPECT_EQ(with_radius(0), absl::StatusCode::kOk);
  for (float radius : {-1.0f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(with_radius(radius), absl::StatusCode::kDataLoss) << radius;
  }
  for (char metric : {1, 3}) {
    EXPECT_EQ(ParseCode(WithSpecField(bytes, 0, &metric, 1)), absl::StatusCode::kDataLoss);
  }
  const float length = 1;
  EXPECT_EQ(ParseCode(WithSpecField(bytes, kSpecBytes, &length, 4)), absl::StatusCode::kDataLoss);
}

TEST(CodebookFields, AProbeRuleThatLiesIsAnError) {
  const std::string bytes = SmallCodebook(kProbeRule)->Serialize();
  const size_t payload = kSpecPayload + kSpecBytes + kMeasuredBytes + 4 + (12 + 12 * 4 + 4) +
                         (12 + 64 * 12 * 4 + 4) + 12;
  constexpr size_t kLevels = 5;
  const auto with = [&](size_t number, float value) {
    std::string changed = bytes;
    std::memcpy(changed.data() + payload + 4 * number, &value, 4);
    const size_t size = 4 * (1 + kLevels);
    const uint32_t crc = Crc32c(std::string_view(changed).substr(payload - 12, 12 + size));
    std::memcpy(changed.data() + payload + size, &crc, 4);
    return ParseCode(changed);
  };
  EXPECT_EQ(with(0, 5.5f), absl::StatusCode::kOk);
  EXPECT_EQ(with(1, 0), absl::StatusCode::kOk);
  EXPECT_EQ(with(kLevels, 900), absl::StatusCode::kOk);
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  for (float power : {0.0f, -1.0f, 101.0f, nan, infinity}) {
    EXPECT_EQ(with(0, power), absl::StatusCode::kDataLoss) << power;
  }
  for (float budget : {-1.0f, nan, infinity, -infinity}) {
    EXPECT_EQ(with(1, budget), absl::StatusCode::kDataLoss) << budget;
    EXPECT_EQ(with(kLevels, budget), absl::StatusCode::kDataLoss) << budget;
  }
  EXPECT_EQ(with(3, nan), absl::StatusCode::kDataLoss);
  EXPECT_EQ(with(3, 900), absl::StatusCode::kDataLoss) << "more than the next";
  // It goes with a measurement.
  std::string changed = bytes;
  const std::string nothing(kMeasuredBytes, '\0');
  changed = WithSpecField(changed, kSpecBytes, nothing.data(), nothing.size());
  EXPECT_EQ(ParseCode(changed), absl::StatusCode::kDataLoss);
}

TEST(CodebookFields, ARotationThatIsNoneIsAnError) {
  const std::string bytes = SmallCodebook(kRotated)->Serialize();
  const auto with_rotation = [&](const std::function<void(std::span<float>)>& change) {
    std::vector<float> rows(kRotationBytes / sizeof(float));
    std::memcpy(rows.data(), bytes.data() + kRotationPayload, kRotationBytes);
    change(rows);
    std::string changed = bytes;
    std::memcpy(changed.data() + kRotationPayload, rows.data(), kRotationBytes);
    const uint32_t crc =
        Crc32c(std::string_view(changed).substr(kRotationPayload - 12, 12 + kRotationBytes));
    std::memcpy(changed.data() + kRotationPayload + kRotationBytes, &crc, 4);
    return ParseCode(changed);
  };
  EXPECT_EQ(with_rotation([](std::span<float>) {}), absl::StatusCode::kOk);
  EXPECT_EQ(with_rotation([](std::span<float> rows) {
              for (float& x : rows) x *= 1.01f;
            }),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(with_rotation([](std::span<float> rows) { rows[7] += 0.01f; }),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(
      with_rotation([](std::span<float> rows) { std::copy_n(rows.begin(), 5, rows.begin() + 5); }),
      absl::StatusCode::kDataLoss);
  EXPECT_EQ(with_rotation([](std::span<float> rows) { rows[0] = 1e30f; }),
            absl::StatusCode::kDataLoss);
}

TEST(CodebookFields, TheVersionSaysWhatThereIs) {
  for (Kind kind : {kPlain, kRotated, kMeasured, kL2Length, kRadii, kProbeRule}) {
    for (Kind other : {kPlain, kRotated, kMeasured, kL2Length, kRadii, kProbeRule}) {
      std::string bytes = SmallCodebook(kind)->Serialize();
      bytes[8] = static_cast<char>(other);
      const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, 12));
      std::memcpy(bytes.data() + 12, &crc, 4);
      EXPECT_EQ(ParseCode(bytes),
                kind == other ? absl::StatusCode::kOk : absl::StatusCode::kDataLoss);
    }
  }
}

TEST(CodebookFields, NonFiniteComponentsAreErrors) {
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

// Finite floats whose squares are not: what is made of them would be neither near nor far.
TEST(CodebookFields, NumbersThatNoVectorsMakeAreErrors) {
  struct Lie {
    Metric metric = Metric::kInnerProduct;
    float origin = 0, centroid = 0, radius = 0, codeword = 0;
  };
  const auto parse = [](const Lie& lie) {
    const CodebookSpec spec = {
        .metric = lie.metric, .dimension = 4, .nlist = 512, .subquantizers = 2, .nbits = 4};
    Matrix centroids(spec.nlist, spec.dimension);
    for (size_t i = 0; i < spec.nlist; ++i) {
      centroids.row(i)[2] = static_cast<float>(i % 23);
      centroids.row(i)[3] = static_cast<float>(i);
    }
    centroids.row(7)[1] = lie.centroid;
    Matrix codewords(32, 1), rotation(2, 4);
    std::fill_n(codewords.data(), 32, lie.codeword);
    const float half = std::sqrt(0.5f);
    rotation.row(0)[0] = rotation.row(0)[1] = rotation.row(1)[0] = half;
    rotation.row(1)[1] = -half;
    const std::vector<float> origin = {0, 0, lie.origin, 0};
    std::vector<float> radii;
    if (lie.radius > 0) radii.assign(spec.nlist, lie.radius);
    return ParseCode(WriteCodebook({.spec = spec,
                                    .training_vectors = 1'000,
                                    .mean_squared_error = 1,
                                    .search_needs = {},
                                    .probe_rule = {},
                                    .origin = origin,
                                    .centroids = centroids,
                                    .radii = radii,
                                    .codewords = codewords,
                                    .rotation = rotation}));
  };
  const float largest = static_cast<float>(limits::kComponentMax);
  EXPECT_EQ(parse({}), absl::StatusCode::kOk);
  EXPECT_EQ(
      parse({.metric = Metric::kL2, .origin = largest, .centroid = 2 * largest, .codeword = 1e18f}),
      absl::StatusCode::kOk);
  EXPECT_EQ(parse({.centroid = 2 * largest, .codeword = 1e18f}), absl::StatusCode::kOk);
  // Only distances do not notice where it is.
  EXPECT_EQ(parse({.origin = 1e-3f}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(parse({.metric = Metric::kCosine, .origin = 1}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(parse({.radius = 1e17f}), absl::StatusCode::kOk);
  EXPECT_EQ(parse({.metric = Metric::kL2, .origin = 2 * largest}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(parse({.centroid = -3 * largest}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(parse({.radius = 3e38f}), absl::StatusCode::kDataLoss);
  EXPECT_EQ(parse({.codeword = 3.4e38f}), absl::StatusCode::kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(Kinds, CodebookFormat,
                         testing::Values(kPlain, kRotated, kMeasured, kL2Length, kRadii,
                                         kProbeRule));

}  // namespace
}  // namespace tessera
