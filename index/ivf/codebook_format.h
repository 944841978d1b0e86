#ifndef TESSERA_INDEX_IVF_CODEBOOK_FORMAT_H_
#define TESSERA_INDEX_IVF_CODEBOOK_FORMAT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "index/base/matrix.h"
#include "index/ivf/codebook.h"

namespace tessera {

// What a serialized codebook holds. README.md in this folder has the grammar.
struct CodebookParts {
  CodebookSpec spec;
  uint64_t training_vectors = 0;
  double mean_squared_error = 0;
  float vector_length = 0;    // 0 before version 3, too
  SearchNeeds search_needs;   // zeros before version 3
  std::vector<float> origin;  // dimension
  Matrix centroids;           // nlist x dimension
  std::vector<float> radii;   // nlist, or none before version 5
  Matrix rotation;            // none, or a multiple of m x dimension
  Matrix codewords;           // (m * 2^nbits) x ceil(rows of the rotation, or dimension / m)
};

std::string WriteCodebook(const CodebookSpec& spec, uint64_t training_vectors,
                          double mean_squared_error, float vector_length, const SearchNeeds& needs,
                          std::span<const float> origin, MatrixView centroids,
                          std::span<const float> radii, MatrixView codewords, MatrixView rotation);

// Trusts nothing: DATA_LOSS for damaged bytes and for values that no codebook has, UNIMPLEMENTED
// for a version that is newer than this code. Counts are checked against the bytes that remain
// before anything is allocated.
absl::StatusOr<CodebookParts> ReadCodebook(std::string_view bytes);

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_CODEBOOK_FORMAT_H_
