#ifndef TESSERA_CLIENT_CLI_FILES_ID_SOURCE_H_
#define TESSERA_CLIENT_CLI_FILES_ID_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tessera::cli {

// Ids of one kind: one of the two is empty.
struct IdBatch {
  std::vector<uint64_t> numbers;
  std::vector<std::string> strings;
};

enum class IdKind { kAuto, kNumber, kString };

// Where the ids of rows come from. Thread-compatible.
class IdSource {
 public:
  virtual ~IdSource() = default;

  // Makes `out` the ids of the next `rows` rows. INVALID_ARGUMENT, naming the file and the line or
  // row, if an id is malformed or there are too few.
  virtual absl::Status Next(uint64_t rows, IdBatch* out) = 0;
  virtual absl::Status Skip(uint64_t rows) = 0;
  // INVALID_ARGUMENT if there are more ids than rows.
  virtual absl::Status ExpectEnd() = 0;
};

// The row numbers themselves, from 0.
std::unique_ptr<IdSource> MakeRowNumberIds();

// From a .npy file (one-dimensional int32, int64, uint32 or uint64, none negative; or (n, 1)), or
// from a text file with one id a line. With kAuto the first line decides: a decimal number that
// fits into 64 bits makes all of them numbers.
absl::StatusOr<std::unique_ptr<IdSource>> OpenIdFile(const std::string& path, IdKind kind);

// A decimal number without sign that fits into 64 bits.
bool ParseUint64(std::string_view text, uint64_t* value);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_ID_SOURCE_H_
