// Points whose vectors, ids and payloads lie in files of their own.
#include <algorithm>
#include <utility>

#include "client/cli/point_source.h"
#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

class RowFilesSource : public PointSource {
 public:
  explicit RowFilesSource(RowFiles files) : files_(std::move(files)) {}

  const std::string& path() const override { return files_.vectors->path(); }
  uint64_t rows() const override { return files_.vectors->rows(); }
  uint32_t dimension() const override { return files_.vectors->dimension(); }
  bool cut_short() const override { return files_.vectors->cut_short(); }

  absl::Status Skip(uint64_t rows) override {
    RETURN_IF_ERROR(files_.vectors->Seek(rows));
    RETURN_IF_ERROR(files_.ids->Skip(rows));
    return files_.payloads == nullptr ? absl::OkStatus() : files_.payloads->Skip(rows);
  }

  absl::StatusOr<uint64_t> Next(uint64_t rows_max, v1::UpsertRequest* request) override {
    const uint64_t fit =
        std::max<uint64_t>(1, limits::kFileChunkBytesMax / files_.vectors->row_bytes());
    uint64_t rows = std::min({rows_max, fit, rows_left()});
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
    return rows;
  }

  absl::Status ExpectEnd() override {
    RETURN_IF_ERROR(files_.ids->ExpectEnd());
    return files_.payloads == nullptr ? absl::OkStatus() : files_.payloads->ExpectEnd();
  }

 private:
  uint64_t rows_left() const { return rows() - files_.vectors->position(); }

  // Adds up to `rows` payloads and returns how many fit.
  absl::StatusOr<uint64_t> AddPayloads(uint64_t rows, v1::UpsertRequest* request) {
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

  const RowFiles files_;
};

}  // namespace

std::unique_ptr<PointSource> MakeRowFilesSource(RowFiles files) {
  return std::make_unique<RowFilesSource>(std::move(files));
}

}  // namespace tessera::cli
