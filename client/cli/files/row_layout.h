#ifndef TESSERA_CLIENT_CLI_FILES_ROW_LAYOUT_H_
#define TESSERA_CLIENT_CLI_FILES_ROW_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Where the rows of a file lie, worked out from its first bytes and its size alone: pure functions
// without a file, so that they can be tested and fuzzed. All formats are little-endian.
namespace tessera::cli {

enum class FileFormat { kNpy, kFvecs, kBvecs, kIvecs, kFbin, kU8bin, kI8bin, kIbin };

// The type of one component as the file holds it.
enum class FileElement {
  kFloat16,
  kFloat32,
  kFloat64,
  kUint8,
  kInt8,
  kInt32,
  kUint32,
  kInt64,
  kUint64
};

size_t FileElementSize(FileElement element);
std::string_view FileElementName(FileElement element);  // "float32", ...
std::string_view FileFormatName(FileFormat format);     // "npy", ...

// From a name as --format takes it ("npy", "fvecs", ...), or from a path's extension.
absl::StatusOr<FileFormat> FileFormatFromName(std::string_view name);
absl::StatusOr<FileFormat> FileFormatFromPath(std::string_view path);

// In lower case and without its dot: "npy" of "a/b.NPY"; empty if the name has none.
std::string ExtensionOf(std::string_view path);

// What the rows of a file are, of any format.
struct RowShape {
  FileElement element = FileElement::kFloat32;
  uint64_t rows = 0;       // whole rows that the file holds
  uint32_t dimension = 0;  // at least 1
  bool flat = false;       // one-dimensional array: rows of one component

  uint64_t row_bytes() const { return dimension * FileElementSize(element); }
};

struct RowLayout : RowShape {
  FileFormat format = FileFormat::kNpy;
  uint64_t declared_rows = 0;   // that its header promises; more than `rows`: cut short
  uint64_t data_offset = 0;     // bytes before row 0
  uint32_t prefix_bytes = 0;    // before the components of every row: its own dimension, if 4
  uint64_t trailing_bytes = 0;  // after the last whole row
  bool distances = false;  // they are one float32 for each component of the rows, which is no row

  // Whether the last row is not all there; what else may follow the rows is no row.
  bool cut_short() const {
    return rows < declared_rows || (trailing_bytes > 0 && prefix_bytes > 0);
  }
  uint64_t record_bytes() const { return prefix_bytes + row_bytes(); }
  uint64_t row_offset(uint64_t row) const { return data_offset + row * record_bytes(); }
};

// `head` is the start of the file: all of it, or at least limits::kFileHeaderBytesMax bytes;
// `file_bytes` its size. INVALID_ARGUMENT names the byte. A file that is cut short is not an error
// here: see CheckComplete.
absl::StatusOr<RowLayout> ParseRowLayout(FileFormat format, std::string_view head,
                                         uint64_t file_bytes);

// INVALID_ARGUMENT, naming row and byte, if the file ends inside a row or holds fewer rows or more
// bytes than its header says.
absl::Status CheckComplete(const RowLayout& layout, uint64_t file_bytes);

// Appends the components of the records in `raw`, a whole number of them from `first_row` on, to
// `out`. INVALID_ARGUMENT, naming row and byte, if a record states another dimension than row 0.
absl::Status AppendRows(const RowLayout& layout, uint64_t first_row, std::string_view raw,
                        std::string* out);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_ROW_LAYOUT_H_
