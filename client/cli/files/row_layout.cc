#include "client/cli/files/row_layout.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/files/npy_header.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

static_assert(std::endian::native == std::endian::little);

struct FormatRow {
  FileFormat format;
  std::string_view name;
  FileElement element;  // unused for npy
};

constexpr std::array kFormats = {
    FormatRow{FileFormat::kNpy, "npy", FileElement::kFloat32},
    FormatRow{FileFormat::kFvecs, "fvecs", FileElement::kFloat32},
    FormatRow{FileFormat::kBvecs, "bvecs", FileElement::kUint8},
    FormatRow{FileFormat::kIvecs, "ivecs", FileElement::kInt32},
    FormatRow{FileFormat::kFbin, "fbin", FileElement::kFloat32},
    FormatRow{FileFormat::kU8bin, "u8bin", FileElement::kUint8},
    FormatRow{FileFormat::kI8bin, "i8bin", FileElement::kInt8},
    FormatRow{FileFormat::kIbin, "ibin", FileElement::kInt32},
};

struct NpyType {
  std::string_view kind;  // what follows the byte order
  FileElement element;
};

constexpr std::array kNpyTypes = {
    NpyType{"f2", FileElement::kFloat16}, NpyType{"f4", FileElement::kFloat32},
    NpyType{"f8", FileElement::kFloat64}, NpyType{"u1", FileElement::kUint8},
    NpyType{"i1", FileElement::kInt8},    NpyType{"i4", FileElement::kInt32},
    NpyType{"u4", FileElement::kUint32},  NpyType{"i8", FileElement::kInt64},
    NpyType{"u8", FileElement::kUint64},
};

const FormatRow& RowOf(FileFormat format) {
  return *std::find_if(kFormats.begin(), kFormats.end(),
                       [&](const FormatRow& row) { return row.format == format; });
}

uint32_t LoadU32(std::string_view bytes, size_t offset) {
  uint32_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

absl::Status CheckDimension(uint64_t dimension, uint64_t offset) {
  if (dimension >= 1 && dimension <= limits::kDimensionMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("byte ", offset, ": dimension ", dimension,
                                                 " is not between 1 and ", limits::kDimensionMax));
}

absl::StatusOr<FileElement> NpyElement(std::string_view descr) {
  if (descr.size() == 3) {
    for (const NpyType& type : kNpyTypes) {
      if (descr.substr(1) != type.kind) continue;
      const bool one_byte = FileElementSize(type.element) == 1;
      if (descr[0] == '<' || descr[0] == '=' || one_byte) return type.element;
      if (descr[0] == '>') {
        return absl::InvalidArgumentError(absl::StrCat(
            "npy header: dtype '", std::string(descr),
            "' is big-endian; save the array little-endian, as '<", std::string(type.kind), "'"));
      }
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("npy header: dtype '", std::string(descr),
                                                 "' is not supported (f2, f4, f8, u1, i1 are)"));
}

// Fills in how many whole rows fit, and what is left over after them.
void CountRows(uint64_t file_bytes, std::optional<uint64_t> declared, RowLayout* layout) {
  const uint64_t data_bytes = file_bytes - std::min(file_bytes, layout->data_offset);
  const uint64_t held = data_bytes / layout->record_bytes();
  layout->declared_rows = declared.value_or(held);
  layout->rows = std::min(held, layout->declared_rows);
  layout->trailing_bytes = data_bytes - layout->rows * layout->record_bytes();
}

absl::StatusOr<RowLayout> ParseNpy(std::string_view head, uint64_t file_bytes) {
  ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader(head));
  RowLayout layout;
  layout.format = FileFormat::kNpy;
  ASSIGN_OR_RETURN(layout.element, NpyElement(header.descr));
  layout.data_offset = header.data_offset;
  if (header.shape.empty() || header.shape.size() > 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("npy header: the array has ", header.shape.size(),
                     " dimensions; it must have two: (rows, dimension)"));
  }
  layout.flat = header.shape.size() == 1;
  const uint64_t dimension = layout.flat ? 1 : header.shape[1];
  RETURN_IF_ERROR(CheckDimension(dimension, 8));
  layout.dimension = static_cast<uint32_t>(dimension);
  if (header.fortran_order && !layout.flat) {
    return absl::InvalidArgumentError(
        "npy header: the array is in Fortran order; save numpy.ascontiguousarray(a) instead");
  }
  CountRows(file_bytes, header.shape[0], &layout);
  return layout;
}

// .fvecs, .bvecs, .ivecs: every row is its own dimension as an int32, then the components.
absl::StatusOr<RowLayout> ParseVecs(const FormatRow& format, std::string_view head,
                                    uint64_t file_bytes) {
  if (head.empty()) {
    return absl::InvalidArgumentError("byte 0: the file is empty: it has no dimension");
  }
  if (head.size() < 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("row 0, byte ", head.size(), ": the file ends inside the row's dimension"));
  }
  RowLayout layout;
  layout.format = format.format;
  layout.element = format.element;
  layout.prefix_bytes = 4;
  layout.dimension = LoadU32(head, 0);
  RETURN_IF_ERROR(CheckDimension(layout.dimension, 0));
  CountRows(file_bytes, std::nullopt, &layout);
  return layout;
}

// .fbin, .u8bin, .i8bin, .ibin: uint32 rows, uint32 dimension, then the components; after those of
// ground truth (.ibin), it may be, the distances.
absl::StatusOr<RowLayout> ParseBin(const FormatRow& format, std::string_view head,
                                   uint64_t file_bytes) {
  if (head.size() < 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("byte ", head.size(), ": the file ends inside its header of 8 bytes"));
  }
  RowLayout layout;
  layout.format = format.format;
  layout.element = format.element;
  layout.data_offset = 8;
  layout.dimension = LoadU32(head, 4);
  RETURN_IF_ERROR(CheckDimension(layout.dimension, 4));
  CountRows(file_bytes, LoadU32(head, 0), &layout);
  layout.distances = format.format == FileFormat::kIbin && layout.rows == layout.declared_rows &&
                     layout.trailing_bytes == layout.rows * layout.dimension * sizeof(float);
  return layout;
}

}  // namespace

size_t FileElementSize(FileElement element) {
  switch (element) {
    case FileElement::kUint8:
    case FileElement::kInt8:
      return 1;
    case FileElement::kFloat16:
      return 2;
    case FileElement::kFloat32:
    case FileElement::kInt32:
    case FileElement::kUint32:
      return 4;
    case FileElement::kFloat64:
    case FileElement::kInt64:
    case FileElement::kUint64:
      return 8;
  }
  return 0;
}

std::string_view FileElementName(FileElement element) {
  switch (element) {
    case FileElement::kFloat16:
      return "float16";
    case FileElement::kFloat32:
      return "float32";
    case FileElement::kFloat64:
      return "float64";
    case FileElement::kUint8:
      return "uint8";
    case FileElement::kInt8:
      return "int8";
    case FileElement::kInt32:
      return "int32";
    case FileElement::kUint32:
      return "uint32";
    case FileElement::kInt64:
      return "int64";
    case FileElement::kUint64:
      return "uint64";
  }
  return "?";
}

std::string_view FileFormatName(FileFormat format) { return RowOf(format).name; }

absl::StatusOr<FileFormat> FileFormatFromName(std::string_view name) {
  std::string lower(name);
  absl::AsciiStrToLower(&lower);
  for (const FormatRow& row : kFormats) {
    if (row.name == lower) return row.format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown format '", std::string(name),
                   "' (npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, ibin and hdf5 are known)"));
}

std::string ExtensionOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const size_t dot = name.rfind('.');
  std::string extension(dot == std::string_view::npos ? "" : name.substr(dot + 1));
  absl::AsciiStrToLower(&extension);
  return extension;
}

absl::StatusOr<FileFormat> FileFormatFromPath(std::string_view path) {
  const std::string extension = ExtensionOf(path);
  if (!extension.empty()) return FileFormatFromName(extension);
  return absl::InvalidArgumentError("the name has no extension that says its format");
}

absl::StatusOr<RowLayout> ParseRowLayout(FileFormat format, std::string_view head,
                                         uint64_t file_bytes) {
  switch (format) {
    case FileFormat::kNpy:
      return ParseNpy(head, file_bytes);
    case FileFormat::kFvecs:
    case FileFormat::kBvecs:
    case FileFormat::kIvecs:
      return ParseVecs(RowOf(format), head, file_bytes);
    case FileFormat::kFbin:
    case FileFormat::kU8bin:
    case FileFormat::kI8bin:
    case FileFormat::kIbin:
      return ParseBin(RowOf(format), head, file_bytes);
  }
  return absl::InternalError("unknown file format");
}

absl::Status CheckComplete(const RowLayout& layout, uint64_t file_bytes) {
  const uint64_t next = layout.row_offset(layout.rows);
  if (layout.rows < layout.declared_rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", layout.rows, ", byte ", file_bytes, ": the file is cut short: row ",
                     layout.rows, " starts at byte ", next, " and has ", layout.record_bytes(),
                     " bytes; the header promises ", layout.declared_rows, " rows"));
  }
  if (layout.trailing_bytes == 0 || layout.distances) return absl::OkStatus();
  if (layout.cut_short()) {
    return absl::InvalidArgumentError(
        absl::StrCat("row ", layout.rows, ", byte ", file_bytes, ": the file is cut short: row ",
                     layout.rows, " starts at byte ", next, " and has ", layout.record_bytes(),
                     " bytes (if every row has dimension ", layout.dimension, " as row 0 does)"));
  }
  return absl::InvalidArgumentError(absl::StrCat("byte ", next, ": ", layout.trailing_bytes,
                                                 " bytes follow the last of the ", layout.rows,
                                                 " rows that the header promises"));
}

absl::Status AppendRows(const RowLayout& layout, uint64_t first_row, std::string_view raw,
                        std::string* out) {
  if (layout.prefix_bytes == 0) {
    out->append(raw);
    return absl::OkStatus();
  }
  const size_t record = layout.record_bytes();
  out->reserve(out->size() + raw.size() / record * layout.row_bytes());
  for (size_t offset = 0; offset + record <= raw.size(); offset += record) {
    const uint32_t dimension = LoadU32(raw, offset);
    if (dimension != layout.dimension) {
      const uint64_t row = first_row + offset / record;
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row, ", byte ", layout.row_offset(row), ": dimension ",
                       static_cast<int32_t>(dimension), ", but row 0 has ", layout.dimension));
    }
    out->append(raw.substr(offset + layout.prefix_bytes, layout.row_bytes()));
  }
  return absl::OkStatus();
}

}  // namespace tessera::cli
