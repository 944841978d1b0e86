#include "index/simd/centroid_panels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "index/base/buffer.h"
#include "index/base/matrix.h"
#include "tests/index/simd/each_target.h"

namespace tessera {
namespace {

// Few distinct values, so that ties are common and sums are exact.
Matrix SmallIntegers(size_t rows, size_t cols, uint32_t seed) {
  std::mt19937 rng(seed);
  Matrix m(rows, cols);
  for (size_t i = 0; i < rows * cols; ++i) m.data()[i] = static_cast<float>(rng() % 4);
  return m;
}

std::vector<uint32_t> Iota(size_t n) {
  std::vector<uint32_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

AlignedBuffer<float> Pack(MatrixView centroids, std::span<const uint32_t> ids) {
  AlignedBuffer<float> panels(PanelsFor(ids.size()) * PanelFloats(centroids.cols));
  PackPanels(centroids, ids, panels.data());
  return panels;
}

std::vector<const float*> RowsOf(MatrixView m) {
  std::vector<const float*> rows;
  for (size_t i = 0; i < m.rows; ++i) rows.push_back(m.row(i).data());
  return rows;
}

struct Nearest {
  explicit Nearest(size_t n) : best(n, std::numeric_limits<float>::infinity()), index(n, 9) {}

  std::vector<float> best;
  std::vector<uint32_t> index;
};

// One row at a time, one component at a time.
void Reference(MatrixView centroids, std::span<const uint32_t> ids, MatrixView rows, uint32_t base,
               Nearest* nearest) {
  for (size_t i = 0; i < rows.rows; ++i) {
    for (size_t j = 0; j < ids.size(); ++j) {
      float cost = 0;
      for (size_t t = 0; t < rows.cols; ++t) {
        const float c = centroids.row(ids[j])[t];
        cost += 0.5f * c * c - rows.row(i)[t] * c;
      }
      if (cost < nearest->best[i]) {
        nearest->best[i] = cost;
        nearest->index[i] = base + static_cast<uint32_t>(j);
      }
    }
  }
}

void ExpectReference(size_t centroid_count, size_t dim, size_t row_count) {
  const Matrix centroids = SmallIntegers(centroid_count + 3, dim, 1 + centroid_count);
  const Matrix rows = SmallIntegers(row_count, dim, 1000 + row_count);
  // Not all of them, and not in order.
  std::vector<uint32_t> ids = Iota(centroid_count + 3);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(3));
  ids.resize(centroid_count);
  Nearest found(row_count), want(row_count);
  UpdateNearest(Pack(centroids, ids).data(), ids.size(), dim, RowsOf(rows).data(), row_count, 70,
                found.best.data(), found.index.data());
  Reference(centroids, ids, rows, 70, &want);
  ASSERT_EQ(found.best, want.best) << centroid_count << " x " << dim << ", " << row_count;
  ASSERT_EQ(found.index, want.index) << centroid_count << " x " << dim << ", " << row_count;
}

TEST(UpdateNearest, EqualsTheReferenceForEveryTailOnEveryTarget) {
  ForEachTarget([] {
    for (size_t centroids = 0; centroids <= 100; ++centroids) ExpectReference(centroids, 7, 3);
    for (size_t dim = 1; dim <= 40; ++dim) ExpectReference(35, dim, 3);
    for (size_t rows = 0; rows <= 20; ++rows) ExpectReference(35, 7, rows);
  });
}

TEST(UpdateNearest, AnEarlierCallWinsTies) {
  ForEachTarget([] {
    const Matrix centroids = SmallIntegers(1, 8, 1);
    const std::vector<uint32_t> same(64, 0);
    const AlignedBuffer<float> panels = Pack(centroids, same);
    const std::vector<const float*> rows = RowsOf(centroids);
    Nearest nearest(1);
    const auto update = [&](uint32_t base) {
      UpdateNearest(panels.data(), same.size(), 8, rows.data(), 1, base, nearest.best.data(),
                    nearest.index.data());
    };
    update(0);
    EXPECT_EQ(nearest.index[0], 0u);
    update(64);
    EXPECT_EQ(nearest.index[0], 0u);
    nearest.best[0] += 1;
    update(128);
    EXPECT_EQ(nearest.index[0], 128u);
  });
}

// What a vector costs must not depend on its neighbours in a call: an answer would depend on how
// vectors are cut into batches.
TEST(UpdateNearest, ACostDependsOnTheVectorAndTheCentroidAlone) {
  ForEachTarget([] {
    std::mt19937 rng(5);
    std::normal_distribution<float> normal;
    Matrix centroids(70, 33), vectors(19, 33);
    for (size_t i = 0; i < 70 * 33; ++i) centroids.data()[i] = normal(rng);
    for (size_t i = 0; i < 19 * 33; ++i) vectors.data()[i] = normal(rng);
    const std::vector<uint32_t> ids = Iota(70);
    const AlignedBuffer<float> panels = Pack(centroids, ids);
    const std::vector<const float*> rows = RowsOf(vectors);
    Nearest together(19), apart(19);
    UpdateNearest(panels.data(), 70, 33, rows.data(), 19, 0, together.best.data(),
                  together.index.data());
    for (size_t i = 0; i < 19; ++i) {
      for (uint32_t c = 70; c-- > 0;) {
        UpdateNearest(Pack(centroids, std::span(ids).subspan(c, 1)).data(), 1, 33, &rows[i], 1, c,
                      &apart.best[i], &apart.index[i]);
      }
    }
    EXPECT_EQ(together.best, apart.best);
    EXPECT_EQ(together.index, apart.index);
  });
}

}  // namespace
}  // namespace tessera
