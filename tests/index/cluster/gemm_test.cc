#include "index/cluster/gemm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "index/cluster/random.h"
#include "tests/index/test_executor.h"

namespace tessera {
namespace {

// Small integers: exact in every order of summation.
Matrix SmallIntegers(size_t rows, size_t cols, uint64_t seed) {
  Random random(seed);
  Matrix matrix(rows, cols);
  for (size_t i = 0; i < rows * cols; ++i) {
    matrix.data()[i] = static_cast<float>(random.Below(17)) - 8;
  }
  return matrix;
}

size_t ThreadsOfThisProcess() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Threads:", 0) == 0) return std::stoul(line.substr(8));
  }
  return 0;
}

TEST(InnerProducts, AreThoseOfTheRows) {
  for (const auto& [m, n, k] : {std::tuple<size_t, size_t, size_t>{1, 1, 1},
                                {3, 5, 7},
                                {1, 100, 128},
                                {64, 1, 33},
                                {130, 70, 129},
                                {2, 3, 1}}) {
    const Matrix a = SmallIntegers(m, k, 1), b = SmallIntegers(n, k, 2);
    const size_t stride = n + 3;
    std::vector<float> out(m * stride, -12345.0f);
    InnerProducts(a, b, out.data(), stride);
    for (size_t i = 0; i < m; ++i) {
      for (size_t j = 0; j < n; ++j) {
        float want = 0;
        for (size_t t = 0; t < k; ++t) want += a.row(i)[t] * b.row(j)[t];
        ASSERT_EQ(out[i * stride + j], want) << m << " x " << n << " x " << k;
      }
      if (i + 1 < m) {
        EXPECT_EQ(out[i * stride + n], -12345.0f) << "wrote between the rows";
      }
    }
  }
}

TEST(InnerProductsTransposed, AreThoseOfTheRows) {
  for (const auto& [m, n, k] : {std::tuple<size_t, size_t, size_t>{1, 1, 1},
                                {3, 5, 7},
                                {1, 100, 128},
                                {64, 1, 33},
                                {130, 70, 129}}) {
    const Matrix a = SmallIntegers(m, k, 1), b = SmallIntegers(n, k, 2);
    Matrix transposed(k, n);
    for (size_t j = 0; j < n; ++j) {
      for (size_t t = 0; t < k; ++t) transposed.row(t)[j] = b.row(j)[t];
    }
    std::vector<float> want(m * n), out(m * n);
    InnerProducts(a, b, want.data(), n);
    InnerProductsTransposed(a, transposed.data(), n, out.data());
    EXPECT_EQ(out, want) << m << " x " << n << " x " << k;
  }
}

TEST(InnerProducts, NothingToDo) {
  const Matrix a = SmallIntegers(2, 4, 1);
  float untouched = 5;
  InnerProducts(a.view().Rows(0, 0), a, &untouched, 2);
  InnerProducts(a, a.view().Rows(0, 0), &untouched, 2);
  EXPECT_EQ(untouched, 5);
}

TEST(InnerProducts, StartsNoThread) {
  const size_t before = ThreadsOfThisProcess();
  ASSERT_GT(before, 0u);
  const Matrix a = SmallIntegers(512, 128, 1), b = SmallIntegers(1024, 128, 2);
  std::vector<float> out(a.rows() * b.rows());
  InnerProducts(a, b, out.data(), b.rows());
  EXPECT_EQ(ThreadsOfThisProcess(), before);
}

TEST(InnerProducts, ManyThreadsAtOnce) {
  const Matrix a = SmallIntegers(512, 64, 1), b = SmallIntegers(96, 64, 2);
  std::vector<float> want(a.rows() * b.rows()), out(want.size());
  InnerProducts(a, b, want.data(), b.rows());
  TestExecutor executor(4);
  for (int round = 0; round < 20; ++round) {
    out.assign(out.size(), 0.0f);
    executor.ParallelFor(a.rows(), 16, [&](size_t begin, size_t end) {
      InnerProducts(a.view().Rows(begin, end - begin), b, out.data() + begin * b.rows(), b.rows());
    });
    ASSERT_EQ(out, want);
  }
}

}  // namespace
}  // namespace tessera
