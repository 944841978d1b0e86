#include "index/codebook/codebook_format.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "index/base/byte_io.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/codebook/probe_trial.h"

namespace tessera {
namespace {

// More than vectors of components up to limits::kComponentMax make: centroids are less the origin,
// radii and residuals are distances.
constexpr double kCentroidMost = 2.01 * limits::kComponentMax;
constexpr double kRadiusMost = 1e18;
constexpr double kResidualSquareMost = 1e37;
constexpr double kAnyFloat = std::numeric_limits<float>::max();
// More than that of a rule that training finds.
constexpr float kProbePowerMost = 100;

constexpr std::string_view kMagic = "TESSCBK\n";
// Each codebook has one form, so that its hash names it: without a rotation; with one; or with what
// training has measured, and a section for a rotation, empty if there is none.
constexpr uint32_t kPlainVersion = 1;
constexpr uint32_t kRotatedVersion = 2;
constexpr uint32_t kMeasuredVersion = 3;
constexpr uint32_t kL2LengthVersion = 4;
constexpr uint32_t kRadiiVersion = 5;
constexpr uint32_t kProbeRuleVersion = 6;
constexpr uint32_t kNewestVersion = kProbeRuleVersion;
constexpr uint32_t kSpecTag = 1;
constexpr uint32_t kOriginTag = 2;
constexpr uint32_t kCentroidsTag = 3;
constexpr uint32_t kCodewordsTag = 4;
constexpr uint32_t kRotationTag = 5;
constexpr uint32_t kRadiiTag = 6;
constexpr uint32_t kProbeRuleTag = 7;
constexpr size_t kSectionHeaderBytes = 4 + 8;

absl::Status Damaged(const std::string& what) {
  return absl::DataLossError(absl::StrCat("codebook: ", what));
}

void WriteSection(uint32_t tag, std::string_view payload, ByteWriter* out) {
  const size_t begin = out->size();
  out->WriteU32(tag);
  out->WriteU64(payload.size());
  out->WriteBytes(payload);
  out->WriteU32(Crc32c(out->view().substr(begin)));
}

void WriteMatrix(uint32_t tag, MatrixView matrix, ByteWriter* out) {
  ByteWriter payload;
  payload.Reserve(matrix.rows * matrix.cols * sizeof(float));
  payload.WriteArray(std::span<const float>(matrix.data, matrix.rows * matrix.cols));
  WriteSection(tag, payload.view(), out);
}

// The payload of the next section, its tag and checksum verified.
absl::StatusOr<std::string_view> ReadSection(uint32_t tag, std::string_view bytes,
                                             ByteReader* reader) {
  const size_t begin = reader->offset();
  uint32_t found = 0, checksum = 0;
  uint64_t length = 0;
  std::string_view payload;
  if (!(reader->ReadU32(&found) && reader->ReadU64(&length) &&
        reader->ReadBytes(length, &payload) && reader->ReadU32(&checksum))) {
    return reader->Truncated("codebook section");
  }
  const size_t covered = kSectionHeaderBytes + payload.size();
  if (Crc32c(bytes.substr(begin, covered)) != checksum) {
    return Damaged(absl::StrCat("checksum of section ", tag, " at byte ", begin, " is wrong"));
  }
  if (found != tag) {
    return Damaged(absl::StrCat("section ", found, " at byte ", begin, " where ", tag, " belongs"));
  }
  return payload;
}

absl::Status ReadHeader(std::string_view bytes, ByteReader* reader, uint32_t* version) {
  std::string_view magic;
  uint32_t checksum = 0;
  if (!reader->ReadBytes(kMagic.size(), &magic)) return reader->Truncated("codebook header");
  if (magic != kMagic) return Damaged("does not start with the mark of a codebook");
  if (!(reader->ReadU32(version) && reader->ReadU32(&checksum))) {
    return reader->Truncated("codebook header");
  }
  if (Crc32c(bytes.substr(0, kMagic.size() + 4)) != checksum) {
    return Damaged("checksum of the header is wrong");
  }
  if (*version > kNewestVersion) {
    return absl::UnimplementedError(absl::StrCat("codebook: format version ", *version,
                                                 " is newer than this build reads (",
                                                 kNewestVersion, ")"));
  }
  if (*version < kPlainVersion) return Damaged(absl::StrCat("format version ", *version));
  return absl::OkStatus();
}

absl::Status ReadSpec(std::string_view payload, uint32_t version, CodebookParts* parts) {
  ByteReader reader(payload);
  CodebookSpec& spec = parts->spec;
  uint8_t metric = 0;
  if (!(reader.ReadU8(&metric) && reader.ReadU32(&spec.dimension) && reader.ReadU32(&spec.nlist) &&
        reader.ReadU32(&spec.subquantizers) && reader.ReadU32(&spec.nbits) &&
        reader.ReadU64(&spec.seed) && reader.ReadU32(&spec.iterations) &&
        reader.ReadU32(&spec.training_vectors_per_list) &&
        reader.ReadU64(&parts->training_vectors) && reader.ReadF64(&parts->mean_squared_error))) {
    return reader.Truncated("codebook specification");
  }
  SearchNeeds& needs = parts->search_needs;
  if (version >= kMeasuredVersion &&
      !(reader.ReadF32(&parts->vector_length) && reader.ReadU64(&needs.points) &&
        reader.ReadU32(&needs.nprobe) && reader.ReadU32(&needs.rerank))) {
    return reader.Truncated("codebook specification");
  }
  RETURN_IF_ERROR(reader.ExpectEnd("codebook specification"));
  spec.metric = static_cast<Metric>(metric);
  if (absl::Status status = CheckCodebookSpec(spec); !status.ok()) {
    return Damaged(std::string(status.message()));
  }
  if (!(std::isfinite(parts->mean_squared_error) && parts->mean_squared_error >= 0)) {
    return Damaged("mean squared error is not a number from 0 up");
  }
  const bool has_length = parts->vector_length >= limits::kVectorLengthMin &&
                          parts->vector_length <= limits::kVectorLengthMax;
  if (parts->vector_length != 0 && !(has_length && spec.metric != Metric::kCosine)) {
    return Damaged("the length of vectors is not what it can be");
  }
  const bool has_l2_length = has_length && spec.metric == Metric::kL2;
  if (has_l2_length ? version != kL2LengthVersion && version != kProbeRuleVersion
                    : version == kL2LengthVersion) {
    return Damaged("a length of L2 vectors does not go with the version");
  }
  const bool has_radii = version == kRadiiVersion;
  if (has_radii && (has_length || spec.metric != Metric::kInnerProduct)) {
    return Damaged("radii of lists do not go with metric and length");
  }
  if (needs.points > 0) needs.vectors = parts->training_vectors;
  const bool measured =
      needs.vectors > 0 && needs.points >= needs.vectors && needs.nprobe > 0 && needs.rerank > 0;
  if (!(measured || needs == SearchNeeds()) || needs.nprobe > spec.nlist ||
      needs.rerank > limits::kRerankMax || (version == kProbeRuleVersion && !measured) ||
      (version >= kMeasuredVersion && !measured && !has_length && !has_radii)) {
    return Damaged("what searches need cannot have been measured");
  }
  return absl::OkStatus();
}

// Components may be as large as `largest`. The spec has been checked, so that the product of rows
// and columns cannot overflow.
absl::Status ReadMatrix(const char* name, std::string_view payload, uint64_t rows, uint64_t cols,
                        double largest, Matrix* matrix) {
  if (payload.size() != rows * cols * sizeof(float)) {
    return Damaged(absl::StrCat(name, " take ", payload.size(), " bytes, not the ",
                                rows * cols * sizeof(float), " of their counts"));
  }
  *matrix = Matrix(rows, cols);
  ByteReader reader(payload);
  if (!reader.ReadArrayTo(std::span<float>(matrix->data(), rows * cols))) {
    return reader.Truncated(name);
  }
  for (size_t i = 0; i < rows * cols; ++i) {
    const float x = matrix->data()[i];
    if (!std::isfinite(x) || std::abs(x) > largest) {
      return Damaged(absl::StrCat(name, ": component ", i % cols, " of row ", i / cols, " is ",
                                  std::isfinite(x) ? "too large" : "NaN or infinite"));
    }
  }
  return absl::OkStatus();
}

// The longest residual that codewords can be put together to, squared: with it, distances from
// whatever codes stand for are finite floats.
absl::Status CheckCodewords(const Matrix& codewords, size_t subquantizers) {
  const size_t of_each = codewords.rows() / subquantizers;
  double squares = 0;
  for (size_t j = 0; j < subquantizers; ++j) {
    double longest = 0;
    for (size_t i = 0; i < of_each; ++i) {
      double square = 0;
      for (float x : codewords.row(j * of_each + i)) square += double{x} * x;
      longest = std::max(longest, square);
    }
    squares += longest;
  }
  if (squares > kResidualSquareMost) return Damaged("codewords: together they are too long");
  return absl::OkStatus();
}

absl::Status ReadRadii(std::string_view bytes, ByteReader* reader, CodebookParts* parts) {
  ASSIGN_OR_RETURN(const std::string_view payload, ReadSection(kRadiiTag, bytes, reader));
  Matrix radii;
  RETURN_IF_ERROR(ReadMatrix("radii", payload, parts->spec.nlist, 1, kRadiusMost, &radii));
  parts->radii.assign(radii.data(), radii.data() + radii.rows());
  for (float radius : parts->radii) {
    if (radius < 0) return Damaged("a radius is less than 0");
  }
  return absl::OkStatus();
}

absl::Status ReadProbeRule(std::string_view bytes, ByteReader* reader, CodebookParts* parts) {
  ASSIGN_OR_RETURN(const std::string_view payload, ReadSection(kProbeRuleTag, bytes, reader));
  const size_t levels = ProbeRule::Levels(parts->spec.nlist);
  ByteReader fields(payload);
  float power = 0;
  std::vector<float> log_budgets;
  if (!(fields.ReadF32(&power) && fields.ReadArray(levels, &log_budgets))) {
    return fields.Truncated("probe rule");
  }
  RETURN_IF_ERROR(fields.ExpectEnd("probe rule"));
  const bool ascending = std::is_sorted(log_budgets.begin(), log_budgets.end());
  if (levels == 0 || !(power > 0 && power <= kProbePowerMost) || !ascending ||
      !(log_budgets.front() >= 0 && log_budgets.back() <= ProbeTrial::kLogBudgetMost) ||
      std::any_of(log_budgets.begin(), log_budgets.end(), [](float x) { return std::isnan(x); })) {
    return Damaged("the rule of how many lists to probe is none that training finds");
  }
  parts->probe_rule = ProbeRule(power, std::move(log_budgets));
  return absl::OkStatus();
}

void WriteProbeRule(const ProbeRule& rule, ByteWriter* out) {
  ByteWriter payload;
  payload.WriteF32(rule.power());
  payload.WriteArray(rule.log_budgets());
  WriteSection(kProbeRuleTag, payload.view(), out);
}

}  // namespace

std::string WriteCodebook(const CodebookView& codebook) {
  const auto& [spec, training_vectors, mean_squared_error, vector_length, needs, probe_rule, origin,
               centroids, radii, codewords, rotation] = codebook;
  ByteWriter out;
  out.Reserve((centroids.rows * centroids.cols + codewords.rows * codewords.cols +
               rotation.rows * rotation.cols) *
                  sizeof(float) +
              256);
  out.WriteBytes(kMagic);
  const bool measured = needs.points > 0 || vector_length > 0 || !radii.empty();
  const bool has_l2_length = spec.metric == Metric::kL2 && vector_length > 0;
  out.WriteU32(!probe_rule.empty() ? kProbeRuleVersion
               : !radii.empty()    ? kRadiiVersion
               : has_l2_length     ? kL2LengthVersion
               : measured          ? kMeasuredVersion
               : rotation.rows > 0 ? kRotatedVersion
                                   : kPlainVersion);
  out.WriteU32(Crc32c(out.view()));
  ByteWriter payload;
  payload.WriteU8(static_cast<uint8_t>(spec.metric));
  payload.WriteU32(spec.dimension);
  payload.WriteU32(spec.nlist);
  payload.WriteU32(spec.subquantizers);
  payload.WriteU32(spec.nbits);
  payload.WriteU64(spec.seed);
  payload.WriteU32(spec.iterations);
  payload.WriteU32(spec.training_vectors_per_list);
  payload.WriteU64(training_vectors);
  payload.WriteF64(mean_squared_error);
  if (measured) {
    payload.WriteF32(vector_length);
    payload.WriteU64(needs.points);
    payload.WriteU32(needs.nprobe);
    payload.WriteU32(needs.rerank);
  }
  WriteSection(kSpecTag, payload.view(), &out);
  WriteMatrix(kOriginTag, {origin.data(), 1, origin.size()}, &out);
  WriteMatrix(kCentroidsTag, centroids, &out);
  if (!radii.empty()) WriteMatrix(kRadiiTag, {radii.data(), radii.size(), 1}, &out);
  if (!probe_rule.empty()) WriteProbeRule(probe_rule, &out);
  if (measured || rotation.rows > 0) WriteMatrix(kRotationTag, rotation, &out);
  WriteMatrix(kCodewordsTag, codewords, &out);
  return out.Take();
}

absl::StatusOr<CodebookParts> ReadCodebook(std::string_view bytes) {
  if (bytes.size() > limits::kCodebookBytesMax) {
    return Damaged(absl::StrCat("is ", bytes.size(), " bytes long, over the limit of ",
                                limits::kCodebookBytesMax));
  }
  ByteReader reader(bytes);
  CodebookParts parts;
  uint32_t version = 0;
  RETURN_IF_ERROR(ReadHeader(bytes, &reader, &version));
  ASSIGN_OR_RETURN(const std::string_view spec, ReadSection(kSpecTag, bytes, &reader));
  RETURN_IF_ERROR(ReadSpec(spec, version, &parts));
  ASSIGN_OR_RETURN(const std::string_view origin, ReadSection(kOriginTag, bytes, &reader));
  Matrix origin_row;
  RETURN_IF_ERROR(
      ReadMatrix("origin", origin, 1, parts.spec.dimension, limits::kComponentMax, &origin_row));
  parts.origin.assign(origin_row.data(), origin_row.data() + parts.spec.dimension);
  const bool at_zero = std::all_of(parts.origin.begin(), parts.origin.end(),
                                   [](float component) { return component == 0; });
  if (parts.spec.metric != Metric::kL2 && !at_zero) {
    return Damaged("the origin, which only L2 has elsewhere than at zero");
  }
  ASSIGN_OR_RETURN(const std::string_view centroids, ReadSection(kCentroidsTag, bytes, &reader));
  RETURN_IF_ERROR(ReadMatrix("centroids", centroids, parts.spec.nlist, parts.spec.dimension,
                             kCentroidMost, &parts.centroids));
  if (version == kRadiiVersion) RETURN_IF_ERROR(ReadRadii(bytes, &reader, &parts));
  if (version == kProbeRuleVersion) RETURN_IF_ERROR(ReadProbeRule(bytes, &reader, &parts));
  const uint64_t m = parts.spec.subquantizers;
  uint64_t quantized = parts.spec.dimension;
  std::string_view rotation;
  if (version >= kRotatedVersion) {
    ASSIGN_OR_RETURN(rotation, ReadSection(kRotationTag, bytes, &reader));
  }
  if (!rotation.empty() || version == kRotatedVersion) {
    quantized = rotation.size() / sizeof(float) / parts.spec.dimension;
    if (quantized == 0 || quantized > parts.spec.dimension || quantized % m != 0 ||
        quantized * parts.spec.dimension > limits::kRotationFloatsMax) {
      return Damaged("the shape of the rotation");
    }
    RETURN_IF_ERROR(ReadMatrix("rotation", rotation, quantized, parts.spec.dimension, kAnyFloat,
                               &parts.rotation));
  }
  ASSIGN_OR_RETURN(const std::string_view codewords, ReadSection(kCodewordsTag, bytes, &reader));
  RETURN_IF_ERROR(ReadMatrix("codewords", codewords, m << parts.spec.nbits, (quantized + m - 1) / m,
                             kAnyFloat, &parts.codewords));
  RETURN_IF_ERROR(CheckCodewords(parts.codewords, m));
  RETURN_IF_ERROR(reader.ExpectEnd("codebook"));
  return parts;
}

}  // namespace tessera
