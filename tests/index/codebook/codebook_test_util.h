#ifndef TESSERA_TESTS_INDEX_CODEBOOK_CODEBOOK_TEST_UTIL_H_
#define TESSERA_TESTS_INDEX_CODEBOOK_CODEBOOK_TEST_UTIL_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/codebook/codebook.h"
#include "index/simd/convert.h"

namespace tessera::test {

// Vectors without any structure.
inline Matrix Noise(size_t n, size_t dim, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  Matrix out(n, dim);
  for (size_t i = 0; i < n * dim; ++i) out.data()[i] = normal(rng);
  return out;
}

// Clustered random vectors: what inverted lists are for.
inline Matrix RandomVectors(size_t n, size_t dim, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const size_t clusters = 20;
  std::vector<float> centers(clusters * dim);
  std::mt19937 center_rng(99);
  for (float& x : centers) x = 2 * normal(center_rng);
  Matrix out(n, dim);
  for (size_t i = 0; i < n; ++i) {
    const float* center = &centers[rng() % clusters * dim];
    for (size_t d = 0; d < dim; ++d) out.row(i)[d] = center[d] + normal(rng);
  }
  return out;
}

// The array of a .npy file of tests/data/wordnet, whose header takes 128 bytes.
inline Matrix ReadWordNet(const std::string& name, ElementType type, size_t rows, size_t dim) {
  std::ifstream file(std::string(TESSERA_TEST_DATA_DIR "/wordnet/") + name, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Matrix matrix(rows, dim);
  EXPECT_EQ(bytes.size(), 128 + rows * dim * ElementSize(type)) << name;
  if (bytes.size() == 128 + rows * dim * ElementSize(type)) {
    ToFloat(type, reinterpret_cast<const std::byte*>(bytes.data() + 128), rows * dim,
            matrix.data());
  }
  return matrix;
}

inline std::shared_ptr<const Codebook> TrainCodebook(Metric metric, MatrixView sample,
                                                     uint32_t nlist, uint32_t m, uint32_t nbits) {
  CodebookSpec spec;
  spec.metric = metric;
  spec.dimension = static_cast<uint32_t>(sample.cols);
  spec.nlist = nlist;
  spec.subquantizers = m;
  spec.nbits = nbits;
  spec.iterations = 5;
  InlineExecutor executor;
  auto codebook = Codebook::Train(spec, sample, executor, nullptr);
  EXPECT_TRUE(codebook.ok()) << codebook.status();
  return *codebook;
}

inline EncodedVectors Encode(const Codebook& codebook, MatrixView vectors) {
  InlineExecutor executor;
  EncodedVectors out;
  codebook.Encode(vectors, executor, &out);
  return out;
}

// The inner products of a query's parts with all codewords, subquantizer 0 first: the lookup table
// of a search before it is rounded. `query` has what Codebook::ForTable gives.
inline std::vector<float> InnerProductTable(const Codebook& codebook, const float* query) {
  std::vector<float> table;
  for (uint32_t j = 0; j < codebook.subquantizers(); ++j) {
    const float* part = query + size_t{j} * codebook.sub_dimension();
    for (uint32_t c = 0; c < codebook.codewords(); ++c) {
      const float* word = codebook.codewords(j) + size_t{c} * codebook.sub_dimension();
      table.push_back(std::inner_product(word, word + codebook.sub_dimension(), part, 0.0f));
    }
  }
  return table;
}

}  // namespace tessera::test

#endif  // TESSERA_TESTS_INDEX_CODEBOOK_CODEBOOK_TEST_UTIL_H_
