#include "index/quantize/rotation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/index/low_rank.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

using test::LowRank;

double SquaredLength(std::span<const float> x) {
  double sum = 0;
  for (float value : x) sum += double{value} * value;
  return sum;
}

// How much of the vectors' squared length the rotation keeps.
double Kept(const Rotation& rotation, const Matrix& vectors) {
  Matrix rotated(vectors.rows(), rotation.reduced());
  rotation.Apply(vectors, rotated.data());
  double before = 0, after = 0;
  for (size_t i = 0; i < vectors.rows(); ++i) {
    before += SquaredLength(vectors.row(i));
    after += SquaredLength(rotated.row(i));
  }
  return after / before;
}

TEST(Rotation, NoneByDefault) {
  const Rotation none;
  EXPECT_TRUE(none.is_none());
  EXPECT_EQ(none.deviation(), 0);
  EXPECT_TRUE(none.Copy().is_none());
}

TEST(Rotation, KeepsTheDirectionsThatVary) {
  InlineExecutor executor;
  const Matrix vectors = LowRank(3'000, 96, 12, 0.001f, 1);
  const Matrix others = LowRank(500, 96, 12, 0.001f, 2);
  const Rotation rotation = Rotation::Train(vectors, 12, 1, executor);
  EXPECT_EQ(rotation.dimension(), 96u);
  EXPECT_EQ(rotation.reduced(), 12u);
  EXPECT_FALSE(rotation.is_none());
  EXPECT_GT(Kept(rotation, others), 0.999);
  // One less leaves the least of them out, not another.
  const double kept = Kept(Rotation::Train(vectors, 11, 1, executor), others);
  EXPECT_LT(kept, 0.995);
  EXPECT_GT(kept, 0.95);
}

TEST(Rotation, ComponentsVaryAlike) {
  InlineExecutor executor;
  const Matrix vectors = LowRank(3'000, 64, 16, 0.01f, 3);
  const Rotation rotation = Rotation::Train(vectors, 16, 1, executor);
  Matrix rotated(vectors.rows(), 16);
  rotation.Apply(vectors, rotated.data());
  double least = 1e9, most = 0;
  for (size_t part = 0; part < 4; ++part) {
    double sum = 0;
    for (size_t i = 0; i < rotated.rows(); ++i) {
      sum += SquaredLength(rotated.row(i).subspan(part * 4, 4));
    }
    least = std::min(least, sum);
    most = std::max(most, sum);
  }
  // The first direction alone varies 16 times as much as the last one.
  EXPECT_LT(most, 6 * least);
}

TEST(Rotation, RowsAreUnitVectorsAtRightAngles) {
  InlineExecutor executor;
  for (const auto& [dim, reduced] : {std::pair{3, 3}, {5, 1}, {64, 64}, {200, 64}}) {
    const Rotation rotation = Rotation::Train(LowRank(500, dim, 3, 0.5f, 4), reduced, 7, executor);
    EXPECT_LT(rotation.deviation(), 2e-5) << dim << " to " << reduced;
    EXPECT_EQ(rotation.reduced(), static_cast<size_t>(reduced));
  }
}

TEST(Rotation, VectorsWithoutSoManyDirections) {
  InlineExecutor executor;
  for (const Matrix& vectors :
       {LowRank(1, 24, 2, 0, 5), LowRank(200, 24, 2, 0, 6), Matrix(100, 24)}) {
    const Rotation rotation = Rotation::Train(vectors, 16, 1, executor);
    EXPECT_LT(rotation.deviation(), 2e-5);
    if (SquaredLength(vectors.row(0)) > 0) {
      EXPECT_GT(Kept(rotation, vectors), 0.9999);
    }
  }
}

TEST(Rotation, OneByOneOrTogether) {
  InlineExecutor executor;
  const Matrix vectors = LowRank(300, 40, 8, 0.1f, 8);
  const Rotation rotation = Rotation::Train(vectors, 24, 1, executor);
  Matrix together(vectors.rows(), 24);
  rotation.Apply(vectors, together.data());
  for (size_t i = 0; i < vectors.rows(); ++i) {
    std::vector<float> alone(24);
    rotation.Apply(vectors.view().Rows(i, 1), alone.data());
    for (size_t j = 0; j < 24; ++j) {
      double expected = 0;
      for (size_t t = 0; t < 40; ++t) {
        expected += double{vectors.row(i)[t]} * rotation.rows().row(j)[t];
      }
      EXPECT_NEAR(alone[j], expected, 1e-5);
      EXPECT_EQ(together.row(i)[j], alone[j]);
    }
  }
}

TEST(Rotation, AddBackIsTheWayBack) {
  InlineExecutor executor;
  const Matrix vectors = LowRank(400, 32, 6, 0, 9);
  const Rotation rotation = Rotation::Train(vectors, 6, 1, executor);
  for (size_t i = 0; i < 20; ++i) {
    std::vector<float> rotated(6), back(32, 1.0f);
    rotation.Apply(vectors.view().Rows(i, 1), rotated.data());
    rotation.AddBack(rotated.data(), back.data());
    for (size_t t = 0; t < 32; ++t) EXPECT_NEAR(back[t], 1.0f + vectors.row(i)[t], 1e-4);
  }
}

TEST(Rotation, DeviationTellsRowsThatAreNoRotation) {
  Matrix rows(2, 3);
  rows.row(0)[0] = 1;
  rows.row(1)[1] = 1;
  std::vector<float> good(rows.data(), rows.data() + 6);
  Matrix longer(2, 3), skew(2, 3);
  std::copy(good.begin(), good.end(), longer.data());
  std::copy(good.begin(), good.end(), skew.data());
  longer.row(1)[1] = 1.01f;
  skew.row(1)[0] = 0.01f;
  EXPECT_EQ(Rotation(std::move(rows)).deviation(), 0);
  EXPECT_NEAR(Rotation(std::move(longer)).deviation(), 0.0201, 1e-4);
  EXPECT_NEAR(Rotation(std::move(skew)).deviation(), 0.0101, 1e-3);
}

TEST(Rotation, TheSameWhateverTheParallelism) {
  InlineExecutor one;
  TestExecutor many(3);
  const Matrix vectors = LowRank(2'000, 160, 20, 0.05f, 10);
  const Rotation a = Rotation::Train(vectors, 96, 3, one);
  const Rotation b = Rotation::Train(vectors, 96, 3, many);
  EXPECT_EQ(std::memcmp(a.rows().data, b.rows().data, 96 * 160 * sizeof(float)), 0);
  // However many rows at a time they are given.
  const Matrix wide = LowRank(2'000, 130, 20, 0.05f, 10);
  TestExecutor in_large_pieces(3, /*grains=*/3);
  const Rotation d = Rotation::Train(wide, 96, 3, one);
  const Rotation e = Rotation::Train(wide, 96, 3, in_large_pieces);
  EXPECT_EQ(std::memcmp(d.rows().data, e.rows().data, 96 * 130 * sizeof(float)), 0);
  const Rotation c = Rotation::Train(vectors, 96, 4, one);
  EXPECT_NE(std::memcmp(a.rows().data, c.rows().data, 96 * 160 * sizeof(float)), 0);
}

}  // namespace
}  // namespace tessera
