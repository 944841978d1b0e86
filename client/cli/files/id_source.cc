#include "client/cli/files/id_source.h"

#include <charconv>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/files/hdf5_rows.h"
#include "client/cli/files/raw_file.h"
#include "client/cli/files/row_reader.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace tessera::cli {
namespace {

class RowNumberIds : public IdSource {
 public:
  absl::Status Next(uint64_t rows, IdBatch* out) override {
    out->strings.clear();
    out->numbers.resize(rows);
    std::iota(out->numbers.begin(), out->numbers.end(), next_);
    next_ += rows;
    return absl::OkStatus();
  }
  absl::Status Skip(uint64_t rows) override {
    next_ += rows;
    return absl::OkStatus();
  }
  absl::Status ExpectEnd() override { return absl::OkStatus(); }

 private:
  uint64_t next_ = 0;
};

class NumericIds : public IdSource {
 public:
  explicit NumericIds(std::unique_ptr<RowReader> reader) : reader_(std::move(reader)) {}

  absl::Status Next(uint64_t rows, IdBatch* out) override {
    out->strings.clear();
    out->numbers.clear();
    const uint64_t first = reader_->position();
    ASSIGN_OR_RETURN(const uint64_t read, reader_->Read(rows, &bytes_));
    if (read < rows) return TooFew();
    out->numbers.reserve(rows);
    for (uint64_t i = 0; i < rows; ++i) {
      uint64_t id = 0;
      if (!Decode(i, &id)) {
        const uint64_t row = first + i;
        return reader_->Annotate(absl::InvalidArgumentError(
            absl::StrCat(reader_->DescribeRow(row), ": the id is negative")));
      }
      out->numbers.push_back(id);
    }
    return absl::OkStatus();
  }

  absl::Status Skip(uint64_t rows) override {
    if (rows > reader_->shape().rows - reader_->position()) return TooFew();
    return reader_->Seek(reader_->position() + rows);
  }

  absl::Status ExpectEnd() override {
    if (reader_->position() == reader_->shape().rows) return absl::OkStatus();
    return reader_->Annotate(absl::InvalidArgumentError(absl::StrCat(
        reader_->shape().rows, " ids, but there are only ", reader_->position(), " rows")));
  }

 private:
  template <typename T>
  T Load(uint64_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + i * sizeof(T), sizeof(T));
    return value;
  }

  // False if the id is negative.
  bool Decode(uint64_t i, uint64_t* id) const {
    int64_t value = 0;
    switch (reader_->shape().element) {
      case FileElement::kUint64:
        *id = Load<uint64_t>(i);
        return true;
      case FileElement::kUint32:
        value = Load<uint32_t>(i);
        break;
      case FileElement::kInt32:
        value = Load<int32_t>(i);
        break;
      default:
        value = Load<int64_t>(i);
    }
    *id = static_cast<uint64_t>(value);
    return value >= 0;
  }

  absl::Status TooFew() const {
    return reader_->Annotate(absl::InvalidArgumentError(
        absl::StrCat("only ", reader_->shape().rows, " ids, but there are more rows")));
  }

  const std::unique_ptr<RowReader> reader_;
  std::string bytes_;
};

// Messages carry no other strings.
bool IsUtf8(std::string_view text) {
  // What the parser of JSON takes as a string; all but these characters stand for themselves there.
  std::string quoted = "\"";
  for (const char c : text) {
    const bool special = c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
    quoted += special ? ' ' : c;
  }
  return nlohmann::json::accept(quoted + "\"");
}

class TextIds : public IdSource {
 public:
  TextIds(std::unique_ptr<RawFile> file, IdKind kind)
      : lines_(std::move(file), limits::kStringIdBytesMax), kind_(kind) {}

  absl::Status Next(uint64_t rows, IdBatch* out) override {
    out->strings.clear();
    out->numbers.clear();
    for (uint64_t i = 0; i < rows; ++i) {
      std::string_view line;
      RETURN_IF_ERROR(NextLine(&line));
      if (line.empty()) return lines_.Error("the id is empty");
      uint64_t number = 0;
      if (kind_ == IdKind::kString) {
        if (!IsUtf8(line)) return lines_.Error("the id is not valid UTF-8");
        out->strings.emplace_back(line);
      } else if (ParseUint64(line, &number)) {
        out->numbers.push_back(number);
      } else {
        return lines_.Error(
            "not a number of 64 bits; with --id-type string all ids of the file are strings");
      }
    }
    return absl::OkStatus();
  }

  absl::Status Skip(uint64_t rows) override {
    for (uint64_t i = 0; i < rows; ++i) {
      std::string_view line;
      RETURN_IF_ERROR(NextLine(&line));
    }
    return absl::OkStatus();
  }

  absl::Status ExpectEnd() override {
    const uint64_t expected = lines_.line_number();
    while (true) {
      std::string_view line;
      ASSIGN_OR_RETURN(const bool more, lines_.Next(&line));
      if (!more) return absl::OkStatus();
      if (!line.empty()) return lines_.Error(absl::StrCat("there are only ", expected, " rows"));
    }
  }

 private:
  absl::Status NextLine(std::string_view* line) {
    ASSIGN_OR_RETURN(const bool more, lines_.Next(line));
    if (!more) {
      return absl::InvalidArgumentError(
          absl::StrCat(lines_.file().path(), ", line ", lines_.line_number() + 1, ": only ",
                       lines_.line_number(), " ids, but there are more rows"));
    }
    // By the first line of the file, which may be skipped: a load that goes on must not change it.
    uint64_t number = 0;
    if (kind_ == IdKind::kAuto) {
      kind_ = ParseUint64(*line, &number) ? IdKind::kNumber : IdKind::kString;
    }
    return absl::OkStatus();
  }

  LineReader lines_;
  IdKind kind_;
};

absl::StatusOr<std::unique_ptr<IdSource>> OpenNumericIds(const std::string& path) {
  RowReaderOptions options;
  options.dataset = "ids";
  ASSIGN_OR_RETURN(std::unique_ptr<RowReader> reader, RowReader::Open(path, options));
  const RowShape& shape = reader->shape();
  switch (shape.element) {
    case FileElement::kInt32:
    case FileElement::kUint32:
    case FileElement::kInt64:
    case FileElement::kUint64:
      break;
    default:
      return reader->Annotate(absl::InvalidArgumentError(
          absl::StrCat("ids must be int32, int64, uint32 or uint64, not ",
                       std::string(FileElementName(shape.element)))));
  }
  if (shape.dimension != 1) {
    return reader->Annotate(
        absl::InvalidArgumentError(absl::StrCat("ids must be one a row, not ", shape.dimension)));
  }
  return std::make_unique<NumericIds>(std::move(reader));
}

}  // namespace

std::unique_ptr<IdSource> MakeRowNumberIds() { return std::make_unique<RowNumberIds>(); }

absl::StatusOr<std::unique_ptr<IdSource>> OpenIdFile(const std::string& path, IdKind kind) {
  if (ExtensionOf(path) == "npy" || ParseHdf5Path(path).has_value()) {
    if (kind == IdKind::kString) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": the ids of an .npy or .hdf5 file are numbers, not strings"));
    }
    return OpenNumericIds(path);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<RawFile> file, RawFile::Open(path));
  return std::make_unique<TextIds>(std::move(file), kind);
}

bool ParseUint64(std::string_view text, uint64_t* value) {
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && parsed == end && !text.empty();
}

}  // namespace tessera::cli
