#include "client/cli/files/row_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

// A row with another dimension shifts everything behind it, so that the file seems cut short. The
// row to name is then the first that states another dimension.
absl::Status FindWrongDimension(RowReader& reader) {
  const uint64_t rows_max =
      std::max<uint64_t>(1, limits::kFileChunkBytesMax / reader.layout().record_bytes());
  std::string rows;
  while (true) {
    ASSIGN_OR_RETURN(const uint64_t read, reader.Read(rows_max, &rows));
    if (read == 0) return absl::OkStatus();
  }
}

}  // namespace

RowReader::RowReader(std::unique_ptr<RawFile> file, const RowLayout& layout)
    : file_(std::move(file)), layout_(layout) {}

absl::StatusOr<std::unique_ptr<RowReader>> RowReader::Open(const std::string& path,
                                                           const RowReaderOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<RawFile> file, RawFile::Open(path));
  FileFormat format;
  if (options.format.has_value()) {
    format = *options.format;
  } else {
    absl::StatusOr<FileFormat> by_path = FileFormatFromPath(path);
    if (!by_path.ok()) return file->Annotate(by_path.status());
    format = *by_path;
  }
  std::string head;
  RETURN_IF_ERROR(
      file->Read(0, std::min<uint64_t>(file->size(), limits::kFileHeaderBytesMax), &head));
  absl::StatusOr<RowLayout> layout = ParseRowLayout(format, head, file->size());
  if (!layout.ok()) return file->Annotate(layout.status());
  const absl::Status complete = CheckComplete(*layout, file->size());
  std::unique_ptr<RowReader> reader(new RowReader(std::move(file), *layout));
  if (!complete.ok() && !options.allow_truncated) {
    if (layout->prefix_bytes > 0) RETURN_IF_ERROR(FindWrongDimension(*reader));
    return reader->file().Annotate(complete);
  }
  return reader;
}

absl::Status RowReader::Seek(uint64_t row) {
  if (row > layout_.rows) {
    return absl::OutOfRangeError(absl::StrCat(
        file_->path(), ": row ", row, " is past the end: the file has ", layout_.rows, " rows"));
  }
  position_ = row;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RowReader::Read(uint64_t rows_max, std::string* out) {
  const uint64_t rows = std::min(rows_max, layout_.rows - position_);
  out->clear();
  if (rows == 0) return 0;
  const uint64_t offset = layout_.row_offset(position_);
  const uint64_t bytes = rows * layout_.record_bytes();
  if (layout_.prefix_bytes == 0) {
    RETURN_IF_ERROR(file_->Read(offset, bytes, out));
  } else {
    RETURN_IF_ERROR(file_->Read(offset, bytes, &raw_));
    const absl::Status appended = AppendRows(layout_, position_, raw_, out);
    if (!appended.ok()) return file_->Annotate(appended);
  }
  position_ += rows;
  return rows;
}

absl::StatusOr<GroundTruth> ReadGroundTruth(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RowReader> reader, RowReader::Open(path));
  const RowLayout& layout = reader->layout();
  if (layout.element != FileElement::kInt32 || layout.flat) {
    return reader->file().Annotate(
        absl::InvalidArgumentError(absl::StrCat("ground truth must be rows of int32, not of ",
                                                std::string(FileElementName(layout.element)))));
  }
  GroundTruth truth;
  truth.queries = layout.rows;
  truth.neighbors = layout.dimension;
  std::string bytes;
  RETURN_IF_ERROR(reader->Read(layout.rows, &bytes).status());
  truth.ids.resize(bytes.size() / sizeof(int32_t));
  if (!bytes.empty()) std::memcpy(truth.ids.data(), bytes.data(), bytes.size());
  return truth;
}

}  // namespace tessera::cli
