#include "client/cli/files/row_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/files/hdf5_rows.h"
#include "client/cli/files/plain_rows.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

// A row number as ground truth has it; -1 pads short rows.
template <typename T>
absl::Status AppendRowNumbers(const RowReader& reader, uint64_t first_row, const std::string& bytes,
                              std::vector<int32_t>* out) {
  const uint32_t dimension = reader.shape().dimension;
  for (size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    if (!std::in_range<int32_t>(value)) {
      return reader.Annotate(absl::InvalidArgumentError(
          absl::StrCat(reader.DescribeRow(first_row + i / dimension), ": neighbour ", i % dimension,
                       ", ", value, ", is no row number")));
    }
    out->push_back(static_cast<int32_t>(value));
  }
  return absl::OkStatus();
}

absl::Status AppendRowNumbersOf(const RowReader& reader, uint64_t first_row,
                                const std::string& bytes, std::vector<int32_t>* out) {
  switch (reader.shape().element) {
    case FileElement::kInt32:
      return AppendRowNumbers<int32_t>(reader, first_row, bytes, out);
    case FileElement::kUint32:
      return AppendRowNumbers<uint32_t>(reader, first_row, bytes, out);
    case FileElement::kInt64:
      return AppendRowNumbers<int64_t>(reader, first_row, bytes, out);
    case FileElement::kUint64:
      return AppendRowNumbers<uint64_t>(reader, first_row, bytes, out);
    default:
      return reader.Annotate(absl::InvalidArgumentError(
          absl::StrCat("ground truth must be rows of int64, uint64, uint32 or int32, not of ",
                       std::string(FileElementName(reader.shape().element)))));
  }
}

}  // namespace

RowReader::RowReader(std::string path, const RowShape& shape, bool cut_short)
    : path_(std::move(path)), shape_(shape), cut_short_(cut_short) {}

absl::StatusOr<std::unique_ptr<RowReader>> RowReader::Open(const std::string& path,
                                                           const RowReaderOptions& options) {
  const std::optional<Hdf5Path> hdf5 = ParseHdf5Path(path);
  if (hdf5.has_value() && !options.format.has_value()) {
    return OpenHdf5Rows(hdf5->file, hdf5->dataset.empty() ? options.dataset : hdf5->dataset);
  }
  return OpenPlainRows(path, options);
}

absl::Status RowReader::Seek(uint64_t row) {
  if (row > shape_.rows) {
    return absl::OutOfRangeError(absl::StrCat(
        path_, ": row ", row, " is past the end: the file has ", shape_.rows, " rows"));
  }
  position_ = row;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RowReader::Read(uint64_t rows_max, std::string* out) {
  const uint64_t rows = std::min(rows_max, shape_.rows - position_);
  out->clear();
  if (rows == 0) return 0;
  RETURN_IF_ERROR(ReadRows(position_, rows, out));
  position_ += rows;
  return rows;
}

absl::Status RowReader::Annotate(const absl::Status& status) const {
  return absl::Status(status.code(), absl::StrCat(path_, ": ", status.message()));
}

std::string RowReader::DescribeRow(uint64_t row) const { return absl::StrCat("row ", row); }

absl::StatusOr<GroundTruth> ReadGroundTruth(const std::string& path) {
  RowReaderOptions options;
  options.dataset = "neighbors";
  // What the big-ann benchmarks call their ground truth; vectors are never in files of that name.
  if (ExtensionOf(path) == "bin") options.format = FileFormat::kIbin;
  ASSIGN_OR_RETURN(const std::unique_ptr<RowReader> reader, RowReader::Open(path, options));
  const RowShape& shape = reader->shape();
  if (shape.flat) {
    return reader->Annotate(
        absl::InvalidArgumentError("ground truth must have two dimensions: (queries, neighbours)"));
  }
  GroundTruth truth;
  truth.queries = shape.rows;
  truth.neighbors = shape.dimension;
  const uint64_t rows_max = std::max<uint64_t>(1, limits::kFileChunkBytesMax / shape.row_bytes());
  std::string bytes;
  while (true) {
    ASSIGN_OR_RETURN(const uint64_t rows, reader->Read(rows_max, &bytes));
    if (rows == 0) return truth;
    RETURN_IF_ERROR(AppendRowNumbersOf(*reader, reader->position() - rows, bytes, &truth.ids));
  }
}

}  // namespace tessera::cli
