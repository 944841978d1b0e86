// Training: coarse k-means, a rotation if it helps, and the product quantizer.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/cluster/kmeans.h"
#include "index/ivf/codebook.h"
#include "index/simd/convert.h"

namespace tessera {
namespace {

// Vectors encoded together by one thread.
constexpr size_t kEncodeBlock = 1024;
// Rows that are summed in one go.
constexpr size_t kMeanRows = 16'384;
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

// The mean of the rows; sums are in double and in an order of their own.
std::vector<float> MeanOf(MatrixView rows, Executor& executor) {
  const size_t pieces = (rows.rows + kMeanRows - 1) / kMeanRows;
  std::vector<double> sums(pieces * rows.cols);
  executor.ParallelFor(pieces, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin * kMeanRows; i < std::min(rows.rows, end * kMeanRows); ++i) {
      double* sum = sums.data() + i / kMeanRows * rows.cols;
      const float* row = rows.row(i).data();
      for (size_t t = 0; t < rows.cols; ++t) sum[t] += row[t];
    }
  });
  std::vector<float> mean(rows.cols);
  for (size_t t = 0; t < rows.cols; ++t) {
    double sum = 0;
    for (size_t piece = 0; piece < pieces; ++piece) sum += sums[piece * rows.cols + t];
    mean[t] = static_cast<float>(sum / static_cast<double>(rows.rows));
  }
  return mean;
}

// At most kResidualsDrawn vectors, spread evenly over the sample.
Matrix DrawEvenly(MatrixView sample) {
  const size_t count = std::min(sample.rows, kResidualsDrawn);
  Matrix drawn(count, sample.cols);
  for (size_t i = 0; i < count; ++i) {
    const float* row = sample.row(i * sample.rows / count).data();
    std::memcpy(drawn.row(i).data(), row, sample.cols * sizeof(float));
  }
  return drawn;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Codebook>> Codebook::Train(const CodebookSpec& spec,
                                                                MatrixView sample,
                                                                Executor& executor,
                                                                ProgressObserver* observer) {
  RETURN_IF_ERROR(CheckCodebookSpec(spec));
  RETURN_IF_ERROR(CheckSample(spec, sample));
  return Train(spec, CopyOf(sample), executor, observer);
}

absl::StatusOr<std::shared_ptr<const Codebook>> Codebook::Train(const CodebookSpec& spec,
                                                                Matrix&& sample, Executor& executor,
                                                                ProgressObserver* observer) {
  RETURN_IF_ERROR(CheckCodebookSpec(spec));
  RETURN_IF_ERROR(CheckSample(spec, sample));
  std::vector<float> origin(spec.dimension);
  if (spec.metric == Metric::kL2) origin = MeanOf(sample, executor);
  executor.ParallelFor(sample.rows(), kMeanRows, [&](size_t begin, size_t end) {
    PrepareRows(spec.metric, origin, sample.view().Rows(begin, end - begin),
                sample.row(begin).data());
  });
  KMeansOptions coarse;
  coarse.clusters = spec.nlist;
  coarse.iterations = spec.iterations;
  coarse.seed = spec.seed;
  coarse.phase = "coarse k-means";
  ASSIGN_OR_RETURN(KMeansResult clusters, KMeans(sample, coarse, executor, observer));
  std::shared_ptr<Codebook> codebook(
      new Codebook(spec, std::move(origin), std::move(clusters.centroids), executor));
  codebook->training_vectors_ = sample.rows();
  RETURN_IF_ERROR(codebook->TrainQuantizer(sample, executor, observer));
  return codebook;
}

absl::Status Codebook::TrainQuantizer(MatrixView prepared, Executor& executor,
                                      ProgressObserver* observer) {
  const Matrix drawn = DrawEvenly(prepared);
  Matrix residuals(drawn.rows(), drawn.cols());
  EncodedVectors encoded;
  encoded.Resize(drawn.rows(), 0);
  nearest_.Assign(drawn, executor, encoded.lists.data(), nullptr);
  ToResiduals(drawn, encoded.lists.data(), residuals.data());
  ASSIGN_OR_RETURN(mean_squared_error_,
                   TryQuantizer(residuals, Rotation(), executor, observer, &encoded));
  Rotation best;
  ProductQuantizer best_quantizer = std::move(quantizer_);
  double error_max = kRotatedErrorShare * mean_squared_error_;
  for (size_t part : kRotatedParts) {
    const size_t reduced = part * spec_.subquantizers;
    if (reduced >= dimension() || reduced * dimension() > limits::kRotationFloatsMax ||
        residuals.rows() < kRotationRows * dimension()) {
      break;
    }
    Rotation rotation = Rotation::Train(residuals, reduced, spec_.seed, executor);
    ASSIGN_OR_RETURN(const double error, TryQuantizer(residuals, std::move(rotation), executor,
                                                      /*observer=*/nullptr, &encoded));
    if (!(error < error_max)) continue;
    mean_squared_error_ = error;
    error_max = kLargerRotationErrorShare * error;
    best = std::move(rotation_);
    best_quantizer = std::move(quantizer_);
  }
  SetQuantizer(std::move(best), std::move(best_quantizer));
  return absl::OkStatus();
}

// Trains a quantizer of the residuals, rotated, and takes it for this codebook's. The mean squared
// error of their codes.
absl::StatusOr<double> Codebook::TryQuantizer(MatrixView residuals, Rotation rotation,
                                              Executor& executor, ProgressObserver* observer,
                                              EncodedVectors* encoded) {
  ProductQuantizerOptions fine;
  fine.subquantizers = spec_.subquantizers;
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
  SetQuantizer(std::move(rotation), std::move(quantizer));
  encoded->Resize(residuals.rows, code_bytes());
  executor.ParallelFor(residuals.rows, kEncodeBlock, [&](size_t begin, size_t end) {
    EncodeBlock(residuals.Rows(begin, end - begin), quantized.Rows(begin, end - begin), begin,
                encoded);
  });
  double sum = 0;
  for (float error : encoded->errors) sum += double{error} * error;
  return sum / static_cast<double>(encoded->size());
}

}  // namespace tessera
