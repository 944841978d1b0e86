// Points that have a line of JSON each.
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/files/raw_file.h"
#include "client/cli/point_source.h"
#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

// Lines that are not blank are rows.
class JsonRows {
 public:
  static absl::StatusOr<std::unique_ptr<JsonRows>> Open(const std::string& path) {
    ASSIGN_OR_RETURN(std::unique_ptr<RawFile> file, RawFile::Open(path));
    return std::make_unique<JsonRows>(std::move(file));
  }

  explicit JsonRows(std::unique_ptr<RawFile> file)
      : lines_(std::move(file), limits::kJsonLineBytesMax) {}

  absl::StatusOr<bool> Next(std::string_view* line) {
    while (true) {
      ASSIGN_OR_RETURN(const bool more, lines_.Next(line));
      if (!more || line->find_first_not_of(" \t") != line->npos) return more;
    }
  }

  absl::Status Error(const absl::Status& status) const {
    return lines_.Error(std::string_view(status.message().data(), status.message().size()));
  }
  absl::Status Error(std::string_view message) const { return lines_.Error(message); }

 private:
  LineReader lines_;
};

class JsonLinesSource : public PointSource {
 public:
  JsonLinesSource(std::string path, JsonPointFields fields, std::unique_ptr<JsonRows> lines)
      : path_(std::move(path)), parser_(std::move(fields)), lines_(std::move(lines)) {}

  // Counts the rows, and takes the dimension and the kind of ids from the first.
  absl::Status Survey() {
    ASSIGN_OR_RETURN(const std::unique_ptr<JsonRows> lines, JsonRows::Open(path_));
    std::string_view line;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, lines->Next(&line));
      if (!more) break;
      if (rows_++ > 0) continue;
      const absl::Status parsed = parser_.Parse(line, &point_);
      if (!parsed.ok()) return lines->Error(parsed);
      dimension_ = static_cast<uint32_t>(point_.vector.size());
      has_ids_ = point_.id.has_value();
    }
    if (rows_ > 0) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(path_, ": the file has no lines"));
  }

  const std::string& path() const override { return path_; }
  uint64_t rows() const override { return rows_; }
  uint32_t dimension() const override { return dimension_; }
  bool cut_short() const override { return false; }

  absl::Status Skip(uint64_t rows) override {
    if (rows > rows_) {
      return absl::OutOfRangeError(
          absl::StrCat(path_, ": row ", rows, " is past the end: the file has ", rows_, " rows"));
    }
    std::string_view line;
    for (; next_row_ < rows; ++next_row_) RETURN_IF_ERROR(lines_->Next(&line).status());
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Next(uint64_t rows_max, v1::UpsertRequest* request) override {
    std::string vectors;
    uint64_t rows = 0;
    uint64_t payload_bytes = 0;
    while (rows < rows_max && vectors.size() < limits::kFileChunkBytesMax &&
           payload_bytes < limits::kFileChunkBytesMax) {
      if (!parsed_) {
        ASSIGN_OR_RETURN(parsed_, ParseNext());
        if (!parsed_) break;
      }
      if (!FitsIds(*request)) break;  // a request has ids of one kind
      parsed_ = false;
      AddId(request);
      vectors.append(reinterpret_cast<const char*>(point_.vector.data()),
                     point_.vector.size() * sizeof(float));
      payload_bytes += point_.payload.size();
      request->add_payloads(std::move(point_.payload));
      ++rows;
    }
    *request->mutable_vectors() = MakeVectors(std::move(vectors), ElementType::kFloat32);
    if (payload_bytes == 0) request->clear_payloads();
    return rows;
  }

  absl::Status ExpectEnd() override { return absl::OkStatus(); }

 private:
  // Makes point_ that of the next line; false after the last.
  absl::StatusOr<bool> ParseNext() {
    std::string_view line;
    ASSIGN_OR_RETURN(const bool more, lines_->Next(&line));
    if (!more) return false;
    const absl::Status parsed = parser_.Parse(line, &point_);
    if (!parsed.ok()) return lines_->Error(parsed);
    if (point_.vector.size() != dimension_) {
      return lines_->Error(absl::StrCat("a vector of dimension ", point_.vector.size(),
                                        ", but the first line's has ", dimension_));
    }
    if (point_.id.has_value() != has_ids_) {
      return lines_->Error(has_ids_ ? "there is no id, but the first line has one"
                                    : "there is an id, but the first line has none");
    }
    if (!has_ids_) point_.id = next_row_;
    ++next_row_;
    return true;
  }

  bool FitsIds(const v1::UpsertRequest& request) const {
    const bool is_number = std::holds_alternative<uint64_t>(*point_.id);
    return is_number ? request.ids().str_size() == 0 : request.ids().num_size() == 0;
  }

  void AddId(v1::UpsertRequest* request) {
    if (const uint64_t* number = std::get_if<uint64_t>(&*point_.id)) {
      request->mutable_ids()->add_num(*number);
    } else {
      request->mutable_ids()->add_str(std::move(std::get<std::string>(*point_.id)));
    }
  }

  const std::string path_;
  JsonPointParser parser_;
  const std::unique_ptr<JsonRows> lines_;
  uint64_t rows_ = 0;
  uint32_t dimension_ = 0;
  bool has_ids_ = false;
  uint64_t next_row_ = 0;
  JsonPoint point_;
  bool parsed_ = false;  // point_ is the next, and in no request yet
};

}  // namespace

absl::StatusOr<std::unique_ptr<PointSource>> OpenJsonLines(const std::string& path,
                                                           const JsonPointFields& fields) {
  ASSIGN_OR_RETURN(std::unique_ptr<JsonRows> lines, JsonRows::Open(path));
  auto source = std::make_unique<JsonLinesSource>(path, fields, std::move(lines));
  RETURN_IF_ERROR(source->Survey());
  return source;
}

}  // namespace tessera::cli
