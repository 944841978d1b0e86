#ifndef TESSERA_TESTS_INTEGRATION_WORDNET_H_
#define TESSERA_TESTS_INTEGRATION_WORDNET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cpp/client.h"

namespace tessera {

// The real vectors of tests/data/wordnet, with their payloads, queries and exact ground truth.
struct WordNet {
  size_t dimension = 0;
  std::string vectors;                // FLOAT16, row after row; the id of a point is its row
  std::vector<float> floats;          // the same, widened
  std::vector<std::string> payloads;  // JSON objects
  std::vector<float> queries;         // row after row
  std::vector<std::vector<int>> ground_truth;  // ids of each query's 100 nearest by inner product

  size_t rows() const { return payloads.size(); }
  size_t query_count() const { return ground_truth.size(); }
  std::string Row(size_t row) const {
    return vectors.substr(row * dimension * sizeof(uint16_t), dimension * sizeof(uint16_t));
  }
  std::span<const float> Floats(size_t row) const {
    return std::span(floats).subspan(row * dimension, dimension);
  }
  std::span<const float> Query(size_t query) const {
    return std::span(queries).subspan(query * dimension, dimension);
  }
};

// Read once; aborts if the files are not as tests/README.md says.
const WordNet& GetWordNet();

// Path of one of its files.
std::string WordNetFile(const std::string& name);

// Creates a FLOAT16 collection of metric INNER_PRODUCT and all other defaults, with vectors where
// `placement` says. The ground truth goes by inner products; the vectors are of unit length only up
// to the rounding of FLOAT16, so COSINE orders a few of them differently.
absl::Status CreateWordNet(Client& client, const std::string& collection,
                           v1::VectorPlacement placement = v1::VECTOR_PLACEMENT_UNSPECIFIED);

// Writes rows [begin, end) with their payloads over one stream.
absl::Status LoadWordNet(Client& client, const std::string& collection, size_t begin, size_t end);

}  // namespace tessera

#endif  // TESSERA_TESTS_INTEGRATION_WORDNET_H_
