#include "client/cli/chunk_builder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {

ChunkBuilder::ChunkBuilder(LoadFiles files, uint64_t first_row, uint64_t rows,
                           uint64_t chunk_rows_max, bool check_ends)
    : files_(std::move(files)),
      end_row_(first_row + rows),
      chunk_rows_max_(std::clamp<uint64_t>(
          chunk_rows_max, 1,
          std::max<uint64_t>(1, limits::kFileChunkBytesMax / files_.vectors->row_bytes()))),
      check_ends_(check_ends),
      next_row_(first_row) {}

absl::StatusOr<std::unique_ptr<ChunkBuilder>> ChunkBuilder::Create(
    LoadFiles files, uint64_t first_row, uint64_t rows, uint64_t chunk_rows_max, bool check_ends) {
  RETURN_IF_ERROR(files.vectors->Seek(first_row));
  if (rows > files.vectors->rows() - first_row) {
    return absl::OutOfRangeError(absl::StrCat(files.vectors->path(), ": rows ", first_row, " to ",
                                              first_row + rows - 1, " are wanted, the file has ",
                                              files.vectors->rows()));
  }
  RETURN_IF_ERROR(files.ids->Skip(first_row));
  if (files.payloads != nullptr) RETURN_IF_ERROR(files.payloads->Skip(first_row));
  return std::unique_ptr<ChunkBuilder>(
      new ChunkBuilder(std::move(files), first_row, rows, chunk_rows_max, check_ends));
}

absl::StatusOr<uint64_t> ChunkBuilder::Next(v1::UpsertRequest* request) {
  request->Clear();
  uint64_t rows = std::min(chunk_rows_max_, end_row_ - next_row_);
  if (rows == 0) {
    RETURN_IF_ERROR(CheckEnds());
    return 0;
  }
  // Payloads first: their sizes may end the chunk early.
  if (files_.payloads != nullptr) {
    ASSIGN_OR_RETURN(rows, AddPayloads(rows, request));
  }
  IdBatch ids;
  RETURN_IF_ERROR(files_.ids->Next(rows, &ids));
  request->mutable_ids()->mutable_num()->Add(ids.numbers.begin(), ids.numbers.end());
  for (std::string& id : ids.strings) request->mutable_ids()->add_str(std::move(id));

  std::string data;
  RETURN_IF_ERROR(files_.vectors->Read(rows, &data).status());
  *request->mutable_vectors() = MakeVectors(std::move(data), files_.vectors->element_type());
  next_row_ += rows;
  return rows;
}

absl::StatusOr<uint64_t> ChunkBuilder::AddPayloads(uint64_t rows, v1::UpsertRequest* request) {
  uint64_t bytes = 0;
  uint64_t added = 0;
  while (added < rows && bytes < limits::kFileChunkBytesMax) {
    std::string* payload = request->add_payloads();
    RETURN_IF_ERROR(files_.payloads->Next(payload));
    bytes += payload->size();
    ++added;
  }
  return added;
}

absl::Status ChunkBuilder::CheckEnds() {
  if (!check_ends_) return absl::OkStatus();
  RETURN_IF_ERROR(files_.ids->ExpectEnd());
  return files_.payloads == nullptr ? absl::OkStatus() : files_.payloads->ExpectEnd();
}

}  // namespace tessera::cli
