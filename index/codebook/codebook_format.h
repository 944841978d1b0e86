#ifndef TESSERA_INDEX_CODEBOOK_CODEBOOK_FORMAT_H_
#define TESSERA_INDEX_CODEBOOK_CODEBOOK_FORMAT_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "index/base/matrix.h"
#include "index/codebook/codebook.h"
#include "index/codebook/probe_rule.h"

namespace tessera {

// What a serialized codebook holds. README.md in this folder has the grammar.
struct CodebookParts {
  CodebookSpec spec;
  uint64_t training_vectors = 0;
  double mean_squared_error = 0;
  float vector_length = 0;    // 0 before version 3, too
  SearchNeeds search_needs;   // zeros before version 3
  ProbeRule probe_rule;       // empty before version 6
  std::vector<float> origin;  // dimension
  Matrix centroids;           // nlist x dimension
  std::vector<float> radii;   // nlist in version 5, else none
  Matrix rotation;            // none, or a multiple of m x dimension
  Matrix codewords;           // (m * 2^nbits) x ceil(rows of the rotation, or dimension / m)
};

// The same where it lies.
struct CodebookView {
  const CodebookSpec& spec;
  uint64_t training_vectors = 0;
  double mean_squared_error = 0;
  float vector_length = 0;
  const SearchNeeds& search_needs;
  const ProbeRule& probe_rule;
  std::span<const float> origin;
  MatrixView centroids;
  std::span<const float> radii;
  MatrixView codewords;
  MatrixView rotation;
};

std::string WriteCodebook(const CodebookView& codebook);

// Trusts nothing: DATA_LOSS for damaged bytes and for values that no codebook has, UNIMPLEMENTED
// for a version that is newer than this code. Counts are checked against the bytes that remain
// before anything is allocated.
absl::StatusOr<CodebookParts> ReadCodebook(std::string_view bytes);

}  // namespace tessera

#endif  // TESSERA_INDEX_CODEBOOK_CODEBOOK_FORMAT_H_
