#include "client/cli/files/plain_rows.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/files/raw_file.h"
#include "client/cli/files/row_layout.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

class PlainRows : public RowReader {
 public:
  PlainRows(std::unique_ptr<RawFile> file, const RowLayout& layout)
      : RowReader(file->path(), layout, layout.cut_short()),
        file_(std::move(file)),
        layout_(layout) {}

  // A row with another dimension shifts everything behind it, so that the file seems cut short. The
  // row to name is then the first that states another dimension.
  absl::Status FindWrongDimension() {
    const uint64_t rows_max =
        std::max<uint64_t>(1, limits::kFileChunkBytesMax / layout_.record_bytes());
    std::string rows;
    while (true) {
      ASSIGN_OR_RETURN(const uint64_t read, Read(rows_max, &rows));
      if (read == 0) return absl::OkStatus();
    }
  }

  std::string DescribeRow(uint64_t row) const override {
    return absl::StrCat("row ", row, ", byte ", layout_.row_offset(row));
  }

 protected:
  absl::Status ReadRows(uint64_t first, uint64_t rows, std::string* out) override {
    const uint64_t offset = layout_.row_offset(first);
    const uint64_t bytes = rows * layout_.record_bytes();
    if (layout_.prefix_bytes == 0) return file_->Read(offset, bytes, out);
    RETURN_IF_ERROR(file_->Read(offset, bytes, &raw_));
    const absl::Status appended = AppendRows(layout_, first, raw_, out);
    return appended.ok() ? appended : Annotate(appended);
  }

 private:
  const std::unique_ptr<RawFile> file_;
  const RowLayout layout_;
  std::string raw_;  // kept between reads
};

}  // namespace

absl::StatusOr<std::unique_ptr<RowReader>> OpenPlainRows(const std::string& path,
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
  const uint64_t size = file->size();
  RETURN_IF_ERROR(file->Read(0, std::min<uint64_t>(size, limits::kFileHeaderBytesMax), &head));
  absl::StatusOr<RowLayout> layout = ParseRowLayout(format, head, size);
  if (!layout.ok()) return file->Annotate(layout.status());
  auto reader = std::make_unique<PlainRows>(std::move(file), *layout);
  const absl::Status complete = CheckComplete(*layout, size);
  if (!complete.ok() && !options.allow_truncated) {
    if (layout->prefix_bytes > 0) RETURN_IF_ERROR(reader->FindWrongDimension());
    return reader->Annotate(complete);
  }
  return reader;
}

}  // namespace tessera::cli
