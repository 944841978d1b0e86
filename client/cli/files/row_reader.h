#ifndef TESSERA_CLIENT_CLI_FILES_ROW_READER_H_
#define TESSERA_CLIENT_CLI_FILES_ROW_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/files/raw_file.h"
#include "client/cli/files/row_layout.h"

namespace tessera::cli {

struct RowReaderOptions {
  std::optional<FileFormat> format;  // absent: by the path's extension
  // A file that is cut short is read up to its last whole row instead of being refused.
  bool allow_truncated = false;
};

// Reads the rows of one file in order, in chunks that the caller sizes: memory does not grow with
// the file. Messages of errors name the file, the row and the byte. Thread-compatible.
class RowReader {
 public:
  static absl::StatusOr<std::unique_ptr<RowReader>> Open(const std::string& path,
                                                         const RowReaderOptions& options = {});

  const RowLayout& layout() const { return layout_; }
  const RawFile& file() const { return *file_; }
  uint64_t position() const { return position_; }  // the row that Read gives next

  // OUT_OF_RANGE if the file has fewer rows.
  absl::Status Seek(uint64_t row);

  // Makes `out` the next rows, at most `rows_max`, as the file holds them but without the
  // dimension before each. Returns their number; 0 at the end.
  absl::StatusOr<uint64_t> Read(uint64_t rows_max, std::string* out);

 private:
  RowReader(std::unique_ptr<RawFile> file, const RowLayout& layout);

  const std::unique_ptr<RawFile> file_;
  const RowLayout layout_;
  uint64_t position_ = 0;
  std::string raw_;  // kept between reads
};

// A ground-truth file: for each query, the row numbers of its true nearest neighbours.
struct GroundTruth {
  uint64_t queries = 0;
  uint32_t neighbors = 0;    // of each query
  std::vector<int32_t> ids;  // queries x neighbors, nearest first
};

// Reads a whole .ivecs file, or an .npy file of int32.
absl::StatusOr<GroundTruth> ReadGroundTruth(const std::string& path);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_ROW_READER_H_
