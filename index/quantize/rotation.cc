#include "index/quantize/rotation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "index/base/check.h"
#include "index/cluster/gemm.h"
#include "index/cluster/random.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Vectors that the principal components are taken from, at most, spread evenly over those given.
constexpr size_t kVectorsUsed = 16'384;
// Of subspace iteration: enough for directions whose variances differ; those that hardly differ may
// as well be mixed.
constexpr int kIterations = 6;
// A row of which the rows before leave no larger share is one of theirs, but for rounding.
constexpr double kSpannedShare = 1e-5;
constexpr double kShortest = 1e-15;
// Rows of a product that are computed at a time, however many threads there are: what a product
// comes out as depends, by its last bits, on how many rows it has.
constexpr size_t kProductRows = 64;
// Vectors that stay in the first-level cache while the directions go by. Not a matrix product of
// the library's: what becomes of a vector must not depend on what is rotated beside it.
constexpr size_t kVectorsTogether = 8;

// a times the transposed b, rows of a in parallel.
Matrix Product(MatrixView a, MatrixView b, Executor& executor) {
  Matrix out(a.rows, b.rows);
  executor.ParallelFor(a.rows, kProductRows, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i += kProductRows) {
      const size_t rows = std::min(kProductRows, end - i);
      InnerProducts(a.Rows(i, rows), b, out.row(i).data(), b.rows);
    }
  });
  return out;
}

// Component t of `vectors` in row t, all of them divided by the largest: only directions matter,
// and squares of very large or small numbers would be lost.
Matrix TransposedSample(MatrixView vectors) {
  const size_t count = std::min(vectors.rows, kVectorsUsed);
  Matrix out(vectors.cols, count);
  float largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const float* row = vectors.row(i * vectors.rows / count).data();
    for (size_t t = 0; t < vectors.cols; ++t) {
      out.data()[t * count + i] = row[t];
      largest = std::max(largest, std::abs(row[t]));
    }
  }
  if (largest == 0) return out;
  for (size_t i = 0; i < vectors.cols * count; ++i) out.data()[i] /= largest;
  return out;
}

Matrix RandomRows(size_t rows, size_t cols, Random& random) {
  Matrix out(rows, cols);
  for (size_t i = 0; i < rows * cols; ++i) {
    // Near enough to a normal distribution to have no direction of its own.
    double sum = -6;
    for (int k = 0; k < 12; ++k) sum += random.Uniform();
    out.data()[i] = static_cast<float>(sum);
  }
  return out;
}

// Makes the rows orthogonal to each other and of length 1, one after the other (Gram and Schmidt);
// what rounding leaves of that after the first pass a second one removes. A row that the ones
// before span is replaced by a random one.
void Orthonormalize(Matrix& rows, int passes, Random& random) {
  const size_t dim = rows.cols();
  const auto length_of = [dim](const float* row) {
    return std::sqrt(double{FloatDotProduct(row, row, dim)});
  };
  for (size_t i = 0; i < rows.rows();) {
    float* row = rows.row(i).data();
    bool independent = true;
    for (int pass = 0; pass < passes && independent; ++pass) {
      const double before = length_of(row);
      for (size_t j = 0; j < i; ++j) {
        const float* other = rows.row(j).data();
        const float share = FloatDotProduct(row, other, dim);
        for (size_t t = 0; t < dim; ++t) row[t] -= share * other[t];
      }
      const double after = length_of(row);
      independent = after > kSpannedShare * before && after > kShortest;
      const auto factor = static_cast<float>(1 / after);
      for (size_t t = 0; t < dim && independent; ++t) row[t] *= factor;
    }
    if (independent) {
      ++i;
    } else {
      std::copy_n(RandomRows(1, dim, random).data(), dim, row);
    }
  }
}

// How far the products of the rows are from those of unit vectors at right angles: the largest sum
// of a row of differences bounds how much the length of anything can change.
double DeviationOf(MatrixView rows) {
  double largest = 0;
  for (size_t i = 0; i < rows.rows; ++i) {
    double sum = 0;
    for (size_t j = 0; j < rows.rows; ++j) {
      double product = i == j ? -1 : 0;
      for (size_t t = 0; t < rows.cols; ++t) {
        product += double{rows.row(i)[t]} * rows.row(j)[t];
      }
      sum += std::abs(product);
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

}  // namespace

Rotation::Rotation(Matrix rows) : rows_(std::move(rows)), deviation_(DeviationOf(rows_)) {}

Rotation Rotation::Train(MatrixView vectors, size_t reduced, uint64_t seed, Executor& executor) {
  TESSERA_CHECK(reduced > 0 && reduced <= vectors.cols);
  Random random(seed);
  const Matrix transposed = TransposedSample(vectors);
  const Matrix covariance = Product(transposed, transposed, executor);
  Matrix directions = RandomRows(reduced, vectors.cols, random);
  for (int i = 0; i < kIterations; ++i) {
    Orthonormalize(directions, /*passes=*/1, random);
    directions = Product(directions, covariance, executor);
  }
  Orthonormalize(directions, /*passes=*/2, random);
  Matrix turn = RandomRows(reduced, reduced, random);
  Orthonormalize(turn, /*passes=*/2, random);
  Matrix turned(reduced, vectors.cols);
  InnerProductsTransposed(turn, directions.data(), vectors.cols, turned.data());
  Orthonormalize(turned, /*passes=*/2, random);
  return Rotation(std::move(turned));
}

void Rotation::Apply(MatrixView vectors, float* out) const {
  TESSERA_CHECK(vectors.cols == dimension());
  for (size_t begin = 0; begin < vectors.rows; begin += kVectorsTogether) {
    const size_t end = std::min(vectors.rows, begin + kVectorsTogether);
    for (size_t j = 0; j < reduced(); ++j) {
      const float* direction = rows_.row(j).data();
      for (size_t i = begin; i < end; ++i) {
        out[i * reduced() + j] = FloatDotProduct(vectors.row(i).data(), direction, dimension());
      }
    }
  }
}

void Rotation::AddBack(const float* reduced, float* out) const {
  for (size_t j = 0; j < this->reduced(); ++j) {
    const float* row = rows_.row(j).data();
    for (size_t t = 0; t < dimension(); ++t) out[t] += reduced[j] * row[t];
  }
}

Rotation Rotation::Copy() const {
  Rotation copy;
  copy.rows_ = CopyOf(rows_);
  copy.deviation_ = deviation_;
  return copy;
}

}  // namespace tessera
