#ifndef TESSERA_CLIENT_CLI_FILES_ROW_READER_H_
#define TESSERA_CLIENT_CLI_FILES_ROW_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/files/row_layout.h"

namespace tessera::cli {

struct RowReaderOptions {
  std::optional<FileFormat> format;  // absent: by the path's extension
  // A file that is cut short is read up to its last whole row instead of being refused.
  bool allow_truncated = false;
  // Of an HDF5 file whose path names none.
  std::string dataset = "train";
};

// Reads the rows of one file in order, in chunks that the caller sizes: memory does not grow with
// the file. Messages of errors name the file, the row and, where there is one, the byte.
// Thread-compatible.
class RowReader {
 public:
  // A path that ends in .hdf5 or .h5, or in one of them and ":NAME", is that of a dataset.
  static absl::StatusOr<std::unique_ptr<RowReader>> Open(const std::string& path,
                                                         const RowReaderOptions& options = {});

  virtual ~RowReader() = default;
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  const RowShape& shape() const { return shape_; }
  bool cut_short() const { return cut_short_; }  // whether there was a part of a row after the last
  const std::string& path() const { return path_; }
  uint64_t position() const { return position_; }  // the row that Read gives next

  // OUT_OF_RANGE if the file has fewer rows.
  absl::Status Seek(uint64_t row);

  // Makes `out` the next rows, at most `rows_max`, as the file holds them but without the
  // dimension before each. Returns their number; 0 at the end.
  absl::StatusOr<uint64_t> Read(uint64_t rows_max, std::string* out);

  // The same status with "path: " before its message.
  absl::Status Annotate(const absl::Status& status) const;
  // "row 3", and at which byte where rows have one.
  virtual std::string DescribeRow(uint64_t row) const;

 protected:
  RowReader(std::string path, const RowShape& shape, bool cut_short);

  // Makes `out` the rows [first, first + rows), which there are; `rows` is at least 1.
  virtual absl::Status ReadRows(uint64_t first, uint64_t rows, std::string* out) = 0;

 private:
  const std::string path_;
  const RowShape shape_;
  const bool cut_short_;
  uint64_t position_ = 0;
};

// A ground-truth file: for each query, the row numbers of its true nearest neighbours.
struct GroundTruth {
  uint64_t queries = 0;
  uint32_t neighbors = 0;    // of each query
  std::vector<int32_t> ids;  // queries x neighbors, nearest first; negative where there is none
};

// Reads a whole file of rows of integers; one that ends in .bin is read as .ibin.
absl::StatusOr<GroundTruth> ReadGroundTruth(const std::string& path);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_ROW_READER_H_
