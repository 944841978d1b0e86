#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "client/cli/files/row_layout.h"
#include "index/base/limits.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using tessera::cli::FileFormat;
using tessera::cli::RowLayout;

constexpr std::array kFormats = {FileFormat::kNpy,   FileFormat::kFvecs, FileFormat::kBvecs,
                                 FileFormat::kIvecs, FileFormat::kFbin,  FileFormat::kU8bin,
                                 FileFormat::kI8bin, FileFormat::kIbin};

void CheckLayout(const RowLayout& layout, std::string_view file) {
  FUZZ_CHECK(layout.dimension >= 1 && layout.dimension <= tessera::limits::kDimensionMax);
  FUZZ_CHECK(layout.rows <= layout.declared_rows);
  // All rows lie inside the file, and the bytes add up.
  FUZZ_CHECK(layout.rows == 0 || layout.row_offset(layout.rows) <= file.size());
  const uint64_t covered =
      std::min<uint64_t>(layout.data_offset, file.size()) + layout.rows * layout.record_bytes();
  FUZZ_CHECK(covered + layout.trailing_bytes == file.size());
  const bool complete = tessera::cli::CheckComplete(layout, file.size()).ok();
  const bool nothing_behind = layout.trailing_bytes == 0 || layout.distances;
  FUZZ_CHECK(complete == (layout.rows == layout.declared_rows && nothing_behind));
  if (layout.rows == 0) return;
  std::string rows;
  const absl::Status status = tessera::cli::AppendRows(
      layout, 0, file.substr(layout.data_offset, layout.rows * layout.record_bytes()), &rows);
  if (status.ok()) FUZZ_CHECK(rows.size() == layout.rows * layout.row_bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const FileFormat format = kFormats[data[0] % kFormats.size()];
  const std::string_view file(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view head = file.substr(0, tessera::limits::kFileHeaderBytesMax);
  const auto layout = tessera::cli::ParseRowLayout(format, head, file.size());
  if (layout.ok()) CheckLayout(*layout, file);
  // The same start of a much larger file: nothing may overflow.
  const auto large = tessera::cli::ParseRowLayout(format, head, UINT64_MAX);
  if (large.ok()) {
    FUZZ_CHECK(large->rows <= UINT64_MAX / large->record_bytes());
    tessera::cli::CheckComplete(*large, UINT64_MAX).IgnoreError();
  }
  return 0;
}
