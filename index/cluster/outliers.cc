#include "index/cluster/outliers.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

namespace tessera {
namespace {

constexpr double kOrdinaryShare = 0.95;
constexpr double kSquaredLengths = 16;

// In double: the square of a component may be more than a float holds.
double SquaredLength(std::span<const float> row) {
  double sum = 0;
  for (float x : row) sum += double{x} * x;
  return sum;
}

}  // namespace

double OutliersFrom(std::vector<double> squares) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  if (squares.empty()) return kNone;
  const auto ordinary = squares.begin() + static_cast<std::ptrdiff_t>(
                                              kOrdinaryShare * static_cast<double>(squares.size()));
  std::nth_element(squares.begin(), ordinary, squares.end());
  // Among zeros, nothing is an outlier for being none.
  return *ordinary > 0 ? kSquaredLengths * *ordinary : kNone;
}

std::vector<uint32_t> WithoutOutliers(MatrixView rows) {
  std::vector<double> squares(rows.rows);
  for (size_t i = 0; i < rows.rows; ++i) squares[i] = SquaredLength(rows.row(i));
  const double from = OutliersFrom(squares);
  std::vector<uint32_t> kept;
  for (size_t i = 0; i < rows.rows; ++i) {
    if (squares[i] <= from) kept.push_back(static_cast<uint32_t>(i));
  }
  return kept;
}

}  // namespace tessera
