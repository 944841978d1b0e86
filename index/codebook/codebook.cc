#include "index/codebook/codebook.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/check.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/codebook/codebook_format.h"
#include "index/simd/convert.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Of a rotation that is read: those that are trained are a hundred times nearer to one.
constexpr double kRotationTolerance = 1e-3;
// Of a query whose lists are ranked by Euclidean distance, in lengths of vectors (README.md).
constexpr float kQueryLength = 4.0f / 3;
// |c|^2 / 2 of a list at most, times the square of what queries are lengthened to.
constexpr float kNormsCounted = 50;

// Of a vector of n floats; 0 if it is more than a float holds.
float LengthOf(const float* vector, size_t n) {
  const float square = FloatDotProduct(vector, vector, n);
  return std::isfinite(square) ? std::sqrt(square) : 0;
}

absl::Status CheckRange(const char* field, uint64_t value, uint64_t min, uint64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " must be ", min, " to ", max, ", got ", value));
}

}  // namespace

absl::Status CheckCodebookSpec(const CodebookSpec& spec) {
  switch (spec.metric) {
    case Metric::kL2:
    case Metric::kInnerProduct:
    case Metric::kCosine:
      break;
    default:
      return absl::InvalidArgumentError("metric is unknown");
  }
  if (spec.nbits != 4 && spec.nbits != 8) {
    return absl::InvalidArgumentError(absl::StrCat("nbits must be 4 or 8, got ", spec.nbits));
  }
  RETURN_IF_ERROR(CheckRange("dimension", spec.dimension, 1, limits::kDimensionMax));
  RETURN_IF_ERROR(CheckRange("nlist", spec.nlist, 1, limits::kListsMax));
  RETURN_IF_ERROR(CheckRange("subquantizers", spec.subquantizers, 1,
                             std::min(spec.dimension, limits::kSubquantizersMax)));
  return CheckRange("iterations", spec.iterations, 1, limits::kTrainingIterationsMax);
}

Codebook::Codebook(const CodebookSpec& spec, std::vector<float> origin, Matrix centroids,
                   Executor& executor)
    : spec_(spec),
      origin_(std::move(origin)),
      centroids_(std::move(centroids)),
      nearest_(centroids_, executor) {}

void Codebook::SetQuantizer(Rotation rotation, ProductQuantizer quantizer) {
  rotation_ = std::move(rotation);
  quantizer_ = std::move(quantizer);
  rotated_centroids_ = Matrix();
  if (rotation_.is_none() || metric() != Metric::kL2) return;
  rotated_centroids_ = Matrix(nlist(), rotation_.reduced());
  rotation_.Apply(centroids_, rotated_centroids_.data());
}

void Codebook::PrepareRows(Metric metric, std::span<const float> origin, MatrixView in,
                           float* out) {
  if (metric == Metric::kL2) {
    for (size_t i = 0; i < in.rows; ++i) {
      for (size_t t = 0; t < in.cols; ++t) {
        out[i * in.cols + t] = in.data[i * in.cols + t] - origin[t];
      }
    }
    return;
  }
  if (out != in.data) std::memcpy(out, in.data, in.rows * in.cols * sizeof(float));
  if (metric == Metric::kCosine) NormalizeRows(out, in.rows, in.cols);
}

void Codebook::Prepare(MatrixView in, float* out) const {
  TESSERA_CHECK(in.cols == dimension());
  PrepareRows(metric(), origin_, in, out);
}

float Codebook::query_length() const {
  return kQueryLength * (metric() == Metric::kCosine ? 1.0f : vector_length_);
}

std::vector<float> Codebook::RankTerms() const {
  const float length = query_length();
  if (length == 0) return radii_;
  std::vector<float> norms;
  // Less what all have in common: where the origin is far away, a float would hold nothing else.
  double of_origin = 0;
  for (float o : origin_) of_origin += double{o} * o;
  // Lists whose centroids have moved to vectors of other lengths must not outweigh all else.
  const double most = double{kNormsCounted} * length * length - of_origin / 2;
  for (size_t l = 0; l < nlist(); ++l) {
    const std::span<const float> centroid = centroids_.row(l);
    double square = 0;
    for (size_t t = 0; t < centroid.size(); ++t) {
      square += double{centroid[t]} * (double{centroid[t]} + 2 * double{origin_[t]});
    }
    norms.push_back(static_cast<float>(std::min(most, square / 2)));
  }
  return norms;
}

// With k for kQueryLength and both from the same origin, |k q - c|^2 / k = |q - c|^2 -
// (1 - 1 / k) |c|^2, or |c|^2 / k - 2 <q, c>, and what is the same for all c.
float Codebook::RankWeight(const float* query) const {
  const float length = query_length();
  if (length == 0 && radii_.empty()) return 0;
  if (metric() == Metric::kL2) return -2 * (1 - 1 / kQueryLength);
  const float of_query = LengthOf(query, dimension());
  return radii_.empty() ? of_query / length : -kRadiusWeight * of_query;
}

void Codebook::Lengthen(const float* query, float* out) const {
  if (metric() == Metric::kL2) {
    for (size_t t = 0; t < dimension(); ++t) {
      out[t] = kQueryLength * query[t] + (kQueryLength - 1) * origin_[t];
    }
    return;
  }
  const float longer = radii_.empty() ? RankWeight(query) : LengthOf(query, dimension());
  const float factor = longer > 0 ? 1 / longer : 0;
  for (size_t t = 0; t < dimension(); ++t) out[t] = query[t] * factor;
}

// From the origin of the user's vectors |q|^2, less that of the origin of the prepared ones.
double Codebook::SquareLessOrigin(const float* query) const {
  return double{FloatDotProduct(query, query, dimension())} +
         2 * double{FloatDotProduct(query, origin_.data(), dimension())};
}

// With u = 1 - 1 / k: of L2, |q - c|^2 - u |c|^2 lacks u |q|^2. And -<q, c> + weight |c|^2 / 2 is
// weight / 2 times |l - c|^2, for l as long as k vectors, but for weight / 2 |l|^2; of that, what
// LengthenedShift takes away is to be left out.
double Codebook::RankShift(const float* query) const {
  const float length = query_length();
  if (length == 0) return 0;
  constexpr double k = kQueryLength;
  if (metric() == Metric::kL2) return (1 - 1 / k) * SquareLessOrigin(query);
  return double{LengthOf(query, dimension())} * length / k * (1 - 1 / (2 * k));
}

// |k q - c|^2 - (k - 1)^2 |q|^2 = k (|q - c|^2 - u (|c|^2 - |q|^2)).
double Codebook::LengthenedShift(const float* query) const {
  const float length = query_length();
  if (length == 0) return 0;
  constexpr double k = kQueryLength;
  double square = length / k * (length / k);
  if (metric() == Metric::kL2) {
    square = SquareLessOrigin(query) +
             double{FloatDotProduct(origin_.data(), origin_.data(), dimension())};
  }
  return -(k - 1) * (k - 1) * square;
}

void Codebook::ForTable(MatrixView prepared, float* out) const {
  if (!rotation_.is_none()) {  // as many components as padded_dimension()
    rotation_.Apply(prepared, out);
    return;
  }
  for (size_t i = 0; i < prepared.rows; ++i) {
    float* row = out + i * padded_dimension();
    std::copy_n(prepared.row(i).data(), dimension(), row);
    std::fill(row + dimension(), row + padded_dimension(), 0.0f);
  }
}

std::shared_ptr<const Codebook> Codebook::WithCentroids(std::span<const uint32_t> lists,
                                                        MatrixView centroids) const {
  TESSERA_CHECK(centroids.rows == lists.size() && centroids.cols == dimension());
  Matrix changed = CopyOf(centroids_);
  for (size_t i = 0; i < lists.size(); ++i) {
    std::memcpy(changed.row(lists[i]).data(), centroids.row(i).data(),
                centroids.cols * sizeof(float));
  }
  InlineExecutor executor;
  std::shared_ptr<Codebook> codebook(new Codebook(spec_, origin_, std::move(changed), executor));
  codebook->quantizer_ = ProductQuantizer(quantizer_.dimension(), spec_.subquantizers, spec_.nbits,
                                          CopyOf(quantizer_.all_codewords()));
  codebook->rotation_ = rotation_.Copy();
  codebook->rotated_centroids_ = CopyOf(rotated_centroids_);
  for (size_t i = 0; i < lists.size() && rotated_centroids_.rows() > 0; ++i) {
    rotation_.Apply(centroids.Rows(i, 1), codebook->rotated_centroids_.row(lists[i]).data());
  }
  codebook->training_vectors_ = training_vectors_;
  codebook->mean_squared_error_ = mean_squared_error_;
  codebook->vector_length_ = vector_length_;
  codebook->TakeRadii(*this, lists, centroids);
  codebook->search_needs_ = search_needs_;
  codebook->probe_rule_ = probe_rule_;
  return codebook;
}

// Vectors lie about as far from a centroid that has moved as those of the list that it has moved
// into; and those that it has left come to the centroid that is then nearest to its old place.
void Codebook::TakeRadii(const Codebook& before, std::span<const uint32_t> lists,
                         MatrixView centroids) {
  radii_ = before.radii_;
  if (radii_.empty()) return;
  std::vector<uint32_t> nearest(lists.size());
  before.Assign(centroids, nearest.data());
  for (size_t i = 0; i < lists.size(); ++i) radii_[lists[i]] = before.radii_[nearest[i]];
  const Matrix left = RowsOf(before.centroids_, lists);
  Assign(left, nearest.data());
  for (size_t i = 0; i < lists.size(); ++i) {
    const float moved = std::sqrt(
        FloatSquaredDistance(left.row(i).data(), centroids_.row(nearest[i]).data(), dimension()));
    float& radius = radii_[nearest[i]];
    radius = std::max(radius, std::hypot(moved, before.radii_[lists[i]]));
  }
}

bool Codebook::HasSameCentroid(const Codebook& other, uint32_t list) const {
  return std::memcmp(centroids_.row(list).data(), other.centroids_.row(list).data(),
                     dimension() * sizeof(float)) == 0;
}

std::string Codebook::Serialize() const {
  return WriteCodebook({.spec = spec_,
                        .training_vectors = training_vectors_,
                        .mean_squared_error = mean_squared_error_,
                        .vector_length = vector_length_,
                        .search_needs = search_needs_,
                        .probe_rule = probe_rule_,
                        .origin = origin_,
                        .centroids = centroids_,
                        .radii = radii_,
                        .codewords = quantizer_.all_codewords(),
                        .rotation = rotation_.rows()});
}

absl::StatusOr<std::shared_ptr<const Codebook>> Codebook::Parse(std::string_view bytes) {
  ASSIGN_OR_RETURN(CodebookParts parts, ReadCodebook(bytes));
  const CodebookSpec& spec = parts.spec;
  // The groups of the centroids are formed again, the same as before: it takes milliseconds.
  InlineExecutor executor;
  std::shared_ptr<Codebook> codebook(
      new Codebook(spec, std::move(parts.origin), std::move(parts.centroids), executor));
  Rotation rotation;
  if (parts.rotation.rows() > 0) rotation = Rotation(std::move(parts.rotation));
  // Lengths would not be what codes say they are.
  if (rotation.deviation() > kRotationTolerance) {
    return absl::DataLossError(
        "codebook: the rows of the rotation are no unit vectors at right angles");
  }
  const size_t quantized = rotation.is_none() ? spec.dimension : rotation.reduced();
  codebook->SetQuantizer(
      std::move(rotation),
      ProductQuantizer(quantized, spec.subquantizers, spec.nbits, std::move(parts.codewords)));
  codebook->training_vectors_ = parts.training_vectors;
  codebook->mean_squared_error_ = parts.mean_squared_error;
  codebook->vector_length_ = parts.vector_length;
  codebook->radii_ = std::move(parts.radii);
  codebook->search_needs_ = parts.search_needs;
  codebook->probe_rule_ = std::move(parts.probe_rule);
  return codebook;
}

size_t Codebook::memory_bytes() const {
  return sizeof(*this) +
         (origin_.size() + radii_.size() + probe_rule_.log_budgets().size()) * sizeof(float) +
         centroids_.rows() * centroids_.cols() * sizeof(float) + quantizer_.memory_bytes() +
         rotation_.memory_bytes() +
         rotated_centroids_.rows() * rotated_centroids_.cols() * sizeof(float) +
         nearest_.memory_bytes();
}

void Codebook::ToResiduals(MatrixView prepared, const uint32_t* lists, float* out) const {
  for (size_t i = 0; i < prepared.rows; ++i) {
    const float* row = prepared.row(i).data();
    const float* centroid = centroids_.row(lists[i]).data();
    float* residual = out + i * prepared.cols;
    for (size_t t = 0; t < prepared.cols; ++t) residual[t] = row[t] - centroid[t];
  }
}

void Codebook::EncodeBlock(MatrixView residuals, MatrixView quantized, size_t first,
                           EncodedVectors* out) const {
  const uint32_t* lists = out->lists.data() + first;
  uint8_t* codes = out->codes.data() + first * code_bytes();
  const MatrixView centroids = rotation_.is_none() ? centroids_.view() : rotated_centroids_.view();
  const size_t dim = quantized.cols;
  quantizer_.Encode(quantized, codes);
  std::vector<float> decoded(dim);
  for (size_t i = 0; i < residuals.rows; ++i) {
    quantizer_.Decode(codes + i * code_bytes(), decoded.data());
    const float* row = quantized.row(i).data();
    const float squared = FloatSquaredDistance(row, decoded.data(), dim);
    out->errors[first + i] = std::sqrt(
        rotation_.is_none() ? squared : squared + LeftOut(residuals.row(i), {row, dim}, decoded));
    if (metric() != Metric::kL2) continue;
    const float* centroid = centroids.row(lists[i]).data();
    out->biases[first + i] = FloatDotProduct(decoded.data(), decoded.data(), dim) +
                             2 * FloatDotProduct(centroid, decoded.data(), dim);
  }
}

// At least by how much |r - r~|^2 is more than it is after the rotation: what was left out of r,
// and what rounding and a rotation that is not quite one may do.
float Codebook::LeftOut(std::span<const float> residual, std::span<const float> rotated,
                        std::span<const float> decoded) const {
  const auto squared = [](std::span<const float> x) {
    return double{FloatDotProduct(x.data(), x.data(), x.size())};
  };
  const double before = squared(residual);
  const double rounding =
      4.0 * static_cast<double>(residual.size()) * std::numeric_limits<float>::epsilon();
  return static_cast<float>(std::max(0.0, before - squared(rotated)) +
                            (rounding + 2 * rotation_.deviation()) * (before + squared(decoded)));
}

void Codebook::EncodeResiduals(MatrixView residuals, size_t first, EncodedVectors* out) const {
  if (rotation_.is_none()) return EncodeBlock(residuals, residuals, first, out);
  Matrix rotated(residuals.rows, rotation_.reduced());
  rotation_.Apply(residuals, rotated.data());
  EncodeBlock(residuals, rotated, first, out);
}

void Codebook::Assign(MatrixView prepared, uint32_t* lists) const {
  InlineExecutor executor;
  nearest_.Assign(prepared, executor, lists, nullptr);
}

void Codebook::EncodeAssigned(MatrixView prepared, const uint32_t* lists,
                              EncodedVectors* out) const {
  out->Resize(prepared.rows, code_bytes());
  std::copy_n(lists, prepared.rows, out->lists.data());
  Matrix residuals(prepared.rows, dimension());
  ToResiduals(prepared, lists, residuals.data());
  EncodeResiduals(residuals, 0, out);
}

void Codebook::Encode(MatrixView vectors, Executor& executor, EncodedVectors* out) const {
  TESSERA_CHECK(vectors.cols == dimension());
  const size_t first = out->size();
  out->Resize(first + vectors.rows, code_bytes());
  executor.ParallelFor(vectors.rows, kEncodeBlock, [&](size_t begin, size_t end) {
    Matrix prepared(std::min(kEncodeBlock, end - begin), dimension());
    for (size_t i = begin; i < end; i += kEncodeBlock) {
      const size_t rows = std::min(kEncodeBlock, end - i);
      const MatrixView block = prepared.view().Rows(0, rows);
      Prepare(vectors.Rows(i, rows), prepared.data());
      uint32_t* lists = out->lists.data() + first + i;
      Assign(block, lists);
      ToResiduals(block, lists, prepared.data());
      EncodeResiduals(block, first + i, out);
    }
  });
}

void Codebook::DecodeResidual(const uint8_t* code, float* out) const {
  if (rotation_.is_none()) {
    quantizer_.Decode(code, out);
    return;
  }
  std::vector<float> rotated(rotation_.reduced());
  quantizer_.Decode(code, rotated.data());
  std::fill_n(out, dimension(), 0.0f);
  rotation_.AddBack(rotated.data(), out);
}

absl::Status Codebook::Decode(uint32_t list, const uint8_t* code, float* out) const {
  if (list >= nlist()) {
    return absl::InvalidArgumentError(
        absl::StrCat("list ", list, " does not exist: the codebook has ", nlist()));
  }
  DecodeResidual(code, out);
  const float* centroid = centroids_.row(list).data();
  for (size_t t = 0; t < dimension(); ++t) out[t] += centroid[t] + origin_[t];
  return absl::OkStatus();
}

}  // namespace tessera
