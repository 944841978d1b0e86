// Training: coarse k-means, a rotation if it helps, and the product quantizer.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/cluster/kmeans.h"
#include "index/cluster/outliers.h"
#include "index/codebook/codebook.h"
#include "index/codebook/parameters.h"
#include "index/codebook/search_trial.h"
#include "index/simd/convert.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Rows that are prepared in one go.
constexpr size_t kPreparedRows = 16'384;
// Rows that the median is taken of, at most.
constexpr size_t kMedianRows = 4'096;
// Residuals that the product quantizer is trained on, at most; it takes its own share of them.
constexpr size_t kResidualsDrawn = 65'536;
// Of the error without a rotation, what is left where one is worth its time in each search; and of
// the error with a smaller rotation, where a larger one is.
constexpr double kRotatedErrorShare = 0.85;
constexpr double kLargerRotationErrorShare = 0.95;
// Residuals a component without which directions are not those of other vectors too.
constexpr size_t kRotationRows = 10;
// Components a subquantizer that are tried with a rotation.
constexpr size_t kRotatedParts[] = {1, 2, 4};
// The standard deviation of vectors' lengths, in mean lengths, up to which they are about one; and
// for L2 that of the squared lengths, in mean squared distances from the centroids.
constexpr double kLengthsDiffer = 0.05;
constexpr double kSquaredLengthsDiffer = 0.1;
// Of the neighbours, the share that the probed lists hold with the number of lists that is measured
// to be needed; and of those in turn, the share among the candidates.
constexpr double kListsShare = 0.975;
constexpr double kCandidatesShare = 0.99;
// The fewest subquantizers that are tried in place of those that were asked for, and the fewest
// components of one.
constexpr uint32_t kSubquantizersMin = 16;
constexpr uint32_t kFinestComponents = 2;
// Of the time of a search, what is left where another number of subquantizers is worth it.
constexpr double kFasterShare = 0.9;

absl::Status CheckSample(const CodebookSpec& spec, MatrixView sample) {
  if (sample.cols != spec.dimension) {
    return absl::InvalidArgumentError(absl::StrCat("training vectors have dimension ", sample.cols,
                                                   ", the codebook ", spec.dimension));
  }
  if (sample.rows < spec.nlist) {
    return absl::InvalidArgumentError(absl::StrCat("nlist is ", spec.nlist,
                                                   ", which needs at least as many training ",
                                                   "vectors, got ", sample.rows));
  }
  return CheckFinite({reinterpret_cast<const std::byte*>(sample.data), ElementType::kFloat32,
                      sample.rows, sample.cols});
}

// The numbers of `count` of so many rows, spread evenly over them, ascending.
std::vector<uint32_t> SpreadEvenly(size_t count, size_t rows) {
  std::vector<uint32_t> spread(count);
  for (size_t i = 0; i < count; ++i) spread[i] = static_cast<uint32_t>(i * rows / count);
  return spread;
}

// The median of each component, of rows from all over. Unlike the mean it stays where nearly all
// vectors are, however far away a few of them lie.
std::vector<float> MedianOf(MatrixView rows, Executor& executor) {
  const std::vector<uint32_t> numbers = SpreadEvenly(std::min(rows.rows, kMedianRows), rows.rows);
  std::vector<float> median(rows.cols);
  executor.ParallelFor(rows.cols, 1, [&](size_t begin, size_t end) {
    std::vector<float> values(numbers.size());
    for (size_t t = begin; t < end; ++t) {
      for (size_t i = 0; i < values.size(); ++i) values[i] = rows.row(numbers[i])[t];
      const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
      std::nth_element(values.begin(), middle, values.end());
      median[t] = *middle;
    }
  });
  return median;
}

// By the inner product, what is longest is nearest to many queries.
bool OutliersCount(Metric metric) { return metric == Metric::kInnerProduct; }

// Zeros where lengths do not matter.
struct Lengths {
  double mean = 0;
  double deviation = 0;          // standard deviation
  double squares_deviation = 0;  // of the squared lengths
};

Lengths LengthsOf(MatrixView rows) {
  double sum = 0, squares = 0, fourths = 0;
  for (size_t i = 0; i < rows.rows; ++i) {
    const double square = FloatDotProduct(rows.row(i).data(), rows.row(i).data(), rows.cols);
    sum += std::sqrt(square);
    squares += square;
    fourths += square * square;
  }
  const auto n = static_cast<double>(rows.rows);
  const auto deviation = [n](double of_values, double of_squares) {
    return std::sqrt(std::max(0.0, of_squares / n - of_values / n * of_values / n));
  };
  return {sum / n, deviation(sum, squares), deviation(squares, fourths)};
}

// The length of the vectors where all have about one; else 0. `residual` is the mean squared
// distance from their centroids.
float LengthOf(const Lengths& lengths, Metric metric, double residual) {
  if (!(lengths.mean >= limits::kVectorLengthMin && lengths.mean <= limits::kVectorLengthMax)) {
    return 0;
  }
  // By L2, what lengths tell of a list is how far its vectors are from the centroid, unless they
  // differ by as much as that: then they are long, it may be, but in one direction.
  const bool differ = metric == Metric::kL2
                          ? lengths.squares_deviation > kSquaredLengthsDiffer * residual
                          : lengths.deviation > kLengthsDiffer * lengths.mean;
  return differ ? 0 : static_cast<float>(lengths.mean);
}

// At most what a search may ask for.
uint32_t RerankMeasured(const SearchTrial& trial, const EncodedVectors& drawn, Executor& executor) {
  const uint64_t candidates = trial.Candidates(drawn, kCandidatesShare, executor);
  return static_cast<uint32_t>(std::min<uint64_t>(candidates, limits::kRerankMax));
}

// About how long a search takes by what depends on the number of subquantizers.
double SearchNs(const Codebook& codebook, const CodeUse& use) {
  if (codebook.search_needs().rerank >= limits::kRerankMax) {
    return std::numeric_limits<double>::infinity();  // it may be many more
  }
  const SearchDefaults defaults = ChooseSearchDefaults(codebook.spec(), codebook.probe_rule(),
                                                       codebook.search_needs(), use.points);
  const double scanned = static_cast<double>(use.points) * defaults.nprobe / codebook.spec().nlist;
  return scanned * EntryNs(codebook.code_bytes()) +
         static_cast<double>(RerankFor(defaults, SearchTrial::kNeighbors)) * use.candidate_ns;
}

// Vectors that searches are tried with: taken out of the sample, from all over it. Its last rows
// come in their places, and into those of the last ones first, so that none is lost.
struct HeldBack {
  Matrix queries;
  MatrixView rows;  // of the sample, that are left
};

HeldBack HoldBack(Matrix& sample, std::span<const uint32_t> numbers) {
  const size_t count = numbers.size();
  HeldBack held = {RowsOf(sample, numbers), sample.view().Rows(0, sample.rows() - count)};
  for (size_t i = count; i-- > 0;) {
    const std::span<float> row = sample.row(numbers[i]);
    const std::span<float> last = sample.row(held.rows.rows + i);
    std::copy(last.begin(), last.end(), row.begin());
  }
  return held;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Codebook>> Codebook::Train(const CodebookSpec& spec,
                                                                MatrixView sample,
                                                                Executor& executor,
                                                                ProgressObserver* observer,
                                                                const CodeUse& use) {
  RETURN_IF_ERROR(CheckCodebookSpec(spec));
  RETURN_IF_ERROR(CheckSample(spec, sample));
  return Train(spec, CopyOf(sample), executor, observer, use);
}

absl::StatusOr<std::shared_ptr<const Codebook>> Codebook::Train(const CodebookSpec& spec,
                                                                Matrix&& sample, Executor& executor,
                                                                ProgressObserver* observer,
                                                                const CodeUse& use) {
  RETURN_IF_ERROR(CheckCodebookSpec(spec));
  RETURN_IF_ERROR(CheckSample(spec, sample));
  const Lengths lengths = spec.metric == Metric::kCosine ? Lengths() : LengthsOf(sample);
  std::vector<float> origin(spec.dimension);
  if (spec.metric == Metric::kL2) origin = MedianOf(sample, executor);
  executor.ParallelFor(sample.rows(), kPreparedRows, [&](size_t begin, size_t end) {
    PrepareRows(spec.metric, origin, sample.view().Rows(begin, end - begin),
                sample.row(begin).data());
  });
  const HeldBack held = HoldBack(sample, RowsHeldBack(sample.rows(), spec.nlist));
  KMeansOptions coarse;
  coarse.clusters = spec.nlist;
  coarse.iterations = spec.iterations;
  coarse.seed = spec.seed;
  coarse.phase = "coarse k-means";
  coarse.outliers_count = OutliersCount(spec.metric);
  ASSIGN_OR_RETURN(KMeansResult clusters, KMeans(held.rows, coarse, executor, observer));
  std::shared_ptr<Codebook> codebook(
      new Codebook(spec, std::move(origin), std::move(clusters.centroids), executor));
  codebook->training_vectors_ = sample.rows();
  codebook->vector_length_ = LengthOf(lengths, spec.metric, clusters.mean_squared_error);
  if (spec.metric == Metric::kInnerProduct && codebook->vector_length_ == 0) {
    codebook->MeasureRadii(held.rows, executor);
  }
  RETURN_IF_ERROR(codebook->TrainQuantizer(held.rows, held.queries, use, executor, observer));
  return codebook;
}

std::vector<uint32_t> Codebook::RowsHeldBack(size_t sample_rows, uint32_t nlist) {
  const size_t count = SearchTrial::QueriesOf(sample_rows);
  return SpreadEvenly(sample_rows - count < nlist ? 0 : count, sample_rows);
}

void Codebook::MeasureRadii(MatrixView prepared, Executor& executor) {
  std::vector<uint32_t> lists(prepared.rows);
  std::vector<float> squared_distances(prepared.rows);
  nearest_.Assign(prepared, executor, lists.data(), squared_distances.data());
  radii_.assign(nlist(), 0);
  for (size_t i = 0; i < prepared.rows; ++i) {
    float& radius = radii_[lists[i]];
    radius = std::max(radius, std::sqrt(std::max(0.0f, squared_distances[i])));
  }
}

absl::Status Codebook::TrainQuantizer(MatrixView prepared, MatrixView queries, const CodeUse& use,
                                      Executor& executor, ProgressObserver* observer) {
  std::vector<uint32_t> numbers =
      SpreadEvenly(std::min(prepared.rows, kResidualsDrawn), prepared.rows);
  Matrix residuals = RowsOf(prepared, numbers);
  EncodedVectors encoded;
  encoded.Resize(residuals.rows(), 0);
  nearest_.Assign(residuals, executor, encoded.lists.data(), nullptr);
  ToResiduals(residuals, encoded.lists.data(), residuals.data());
  const std::vector<uint32_t> kept = OutliersCount(metric()) ? numbers : WithoutOutliers(residuals);
  if (kept.size() < numbers.size()) {
    residuals = RowsOf(residuals, kept);
    for (size_t i = 0; i < kept.size(); ++i) {
      numbers[i] = numbers[kept[i]];
      encoded.lists[i] = encoded.lists[kept[i]];
    }
    numbers.resize(kept.size());
    encoded.Resize(kept.size(), 0);
  }
  RETURN_IF_ERROR(FitQuantizer(residuals, spec_.subquantizers, executor, observer, &encoded));
  if (queries.rows == 0) return absl::OkStatus();
  const SearchTrial trial(*this, queries, prepared, numbers, encoded.lists, kListsShare, executor);
  probe_rule_ = trial.probe_rule();
  search_needs_ = {training_vectors_, std::max(use.points, training_vectors_), trial.lists(),
                   RerankMeasured(trial, encoded, executor)};
  if (use.candidate_ns == 0 || spec_.nbits != 4) return absl::OkStatus();
  return ChooseSubquantizers(trial, residuals, use, executor, observer, &encoded);
}

// Tries fewer subquantizers than there are, or more, for as long as searches become faster.
absl::Status Codebook::ChooseSubquantizers(const SearchTrial& trial, MatrixView residuals,
                                           const CodeUse& use, Executor& executor,
                                           ProgressObserver* observer, EncodedVectors* encoded) {
  double best_ns = SearchNs(*this, use);
  const auto is_faster = [&](uint32_t subquantizers) -> absl::StatusOr<bool> {
    Codes before = TakeCodes(*encoded);
    RETURN_IF_ERROR(FitQuantizer(residuals, subquantizers, executor, observer, encoded));
    search_needs_.rerank = RerankMeasured(trial, *encoded, executor);
    const double ns = SearchNs(*this, use);
    if (!(ns < kFasterShare * best_ns)) {
      PutBack(std::move(before), encoded);
      return false;
    }
    best_ns = ns;
    return true;
  };
  const uint32_t first = spec_.subquantizers;
  for (uint32_t divisor : {2, 3, 4}) {
    const uint32_t fewer = (first + divisor - 1) / divisor;
    if (fewer < kSubquantizersMin) break;
    ASSIGN_OR_RETURN(const bool faster, is_faster(fewer));
    if (!faster) break;
  }
  const bool is_finest = 2 * first > (dimension() + 1) / kFinestComponents;
  if (spec_.subquantizers != first || is_finest) return absl::OkStatus();
  return is_faster(2 * first).status();
}

// Trains the best quantizer of so many subquantizers, with a rotation or without, and encodes with
// it.
absl::Status Codebook::FitQuantizer(MatrixView residuals, uint32_t subquantizers,
                                    Executor& executor, ProgressObserver* observer,
                                    EncodedVectors* encoded) {
  RETURN_IF_ERROR(TryQuantizer(residuals, subquantizers, Rotation(), executor, observer, encoded));
  double error_max = kRotatedErrorShare * mean_squared_error_;
  for (size_t part : kRotatedParts) {
    const size_t reduced = part * subquantizers;
    if (reduced >= dimension() || reduced * dimension() > limits::kRotationFloatsMax ||
        residuals.rows < kRotationRows * dimension()) {
      break;
    }
    Codes before = TakeCodes(*encoded);
    RETURN_IF_ERROR(TryQuantizer(residuals, subquantizers,
                                 Rotation::Train(residuals, reduced, spec_.seed, executor),
                                 executor, /*observer=*/nullptr, encoded));
    if (mean_squared_error_ < error_max) {
      error_max = kLargerRotationErrorShare * mean_squared_error_;
    } else {
      PutBack(std::move(before), encoded);
    }
  }
  return absl::OkStatus();
}

Codebook::Codes Codebook::TakeCodes(const EncodedVectors& encoded) {
  return {std::move(rotation_), std::move(quantizer_), mean_squared_error_, search_needs_.rerank,
          encoded};
}

void Codebook::PutBack(Codes codes, EncodedVectors* encoded) {
  spec_.subquantizers = codes.quantizer.subquantizers();
  SetQuantizer(std::move(codes.rotation), std::move(codes.quantizer));
  mean_squared_error_ = codes.mean_squared_error;
  search_needs_.rerank = codes.rerank;
  *encoded = std::move(codes.encoded);
}

// Trains a quantizer of the residuals, rotated, and takes it for this codebook's.
absl::Status Codebook::TryQuantizer(MatrixView residuals, uint32_t subquantizers, Rotation rotation,
                                    Executor& executor, ProgressObserver* observer,
                                    EncodedVectors* encoded) {
  ProductQuantizerOptions fine;
  fine.subquantizers = subquantizers;
  fine.nbits = spec_.nbits;
  fine.seed = spec_.seed;
  MatrixView quantized = residuals;
  Matrix rotated(rotation.is_none() ? 0 : residuals.rows, rotation.reduced());
  if (!rotation.is_none()) {
    executor.ParallelFor(residuals.rows, kEncodeBlock, [&](size_t begin, size_t end) {
      rotation.Apply(residuals.Rows(begin, end - begin), rotated.row(begin).data());
    });
    quantized = rotated;
  }
  ASSIGN_OR_RETURN(ProductQuantizer quantizer,
                   ProductQuantizer::Train(quantized, fine, executor, observer));
  spec_.subquantizers = subquantizers;
  SetQuantizer(std::move(rotation), std::move(quantizer));
  encoded->Resize(residuals.rows, code_bytes());
  executor.ParallelFor(residuals.rows, kEncodeBlock, [&](size_t begin, size_t end) {
    EncodeBlock(residuals.Rows(begin, end - begin), quantized.Rows(begin, end - begin), begin,
                encoded);
  });
  double sum = 0;
  for (float error : encoded->errors) sum += double{error} * error;
  mean_squared_error_ = sum / static_cast<double>(encoded->size());
  return absl::OkStatus();
}

}  // namespace tessera
