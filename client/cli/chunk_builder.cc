#include "client/cli/chunk_builder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"

namespace tessera::cli {

ChunkBuilder::ChunkBuilder(std::unique_ptr<PointSource> points, uint64_t first_row, uint64_t rows,
                           uint64_t chunk_rows_max, bool check_ends)
    : points_(std::move(points)),
      end_row_(first_row + rows),
      chunk_rows_max_(chunk_rows_max),
      check_ends_(check_ends),
      next_row_(first_row) {}

absl::StatusOr<std::unique_ptr<ChunkBuilder>> ChunkBuilder::Create(
    std::unique_ptr<PointSource> points, uint64_t first_row, uint64_t rows, uint64_t chunk_rows_max,
    bool check_ends) {
  RETURN_IF_ERROR(points->Skip(first_row));
  if (rows > points->rows() - first_row) {
    return absl::OutOfRangeError(absl::StrCat(points->path(), ": rows ", first_row, " to ",
                                              first_row + rows - 1, " are wanted, the file has ",
                                              points->rows()));
  }
  return std::unique_ptr<ChunkBuilder>(
      new ChunkBuilder(std::move(points), first_row, rows, chunk_rows_max, check_ends));
}

absl::StatusOr<uint64_t> ChunkBuilder::Next(v1::UpsertRequest* request) {
  request->Clear();
  const uint64_t rows_max = std::min(chunk_rows_max_, end_row_ - next_row_);
  if (rows_max == 0) {
    if (check_ends_) RETURN_IF_ERROR(points_->ExpectEnd());
    return 0;
  }
  ASSIGN_OR_RETURN(const uint64_t rows, points_->Next(rows_max, request));
  next_row_ += rows;
  return rows;
}

}  // namespace tessera::cli
