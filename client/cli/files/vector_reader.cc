#include "client/cli/files/vector_reader.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

absl::StatusOr<ElementType> VectorElementType(FileElement element) {
  switch (element) {
    case FileElement::kFloat16:
      return ElementType::kFloat16;
    case FileElement::kFloat32:
    case FileElement::kFloat64:
      return ElementType::kFloat32;
    case FileElement::kUint8:
      return ElementType::kUint8;
    case FileElement::kInt8:
      return ElementType::kInt8;
    default:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("components of type ", std::string(FileElementName(element)),
                   " are not vectors (float16, float32, float64, uint8 and int8 are)"));
}

// Narrows float64 components to float32 within the buffer. A value outside float32's range becomes
// an infinity, which the server refuses.
void NarrowInPlace(std::string* bytes) {
  const size_t count = bytes->size() / sizeof(double);
  for (size_t i = 0; i < count; ++i) {
    double wide;
    std::memcpy(&wide, bytes->data() + i * sizeof(double), sizeof(wide));
    const float narrow = static_cast<float>(wide);
    std::memcpy(bytes->data() + i * sizeof(float), &narrow, sizeof(narrow));
  }
  bytes->resize(count * sizeof(float));
}

}  // namespace

VectorReader::VectorReader(std::unique_ptr<RowReader> reader, ElementType element_type)
    : reader_(std::move(reader)), element_type_(element_type) {}

absl::StatusOr<std::unique_ptr<VectorReader>> VectorReader::Open(const std::string& path,
                                                                 const RowReaderOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<RowReader> reader, RowReader::Open(path, options));
  const RowShape& shape = reader->shape();
  if (shape.flat) {
    return reader->Annotate(absl::InvalidArgumentError(
        "the array has 1 dimension; vectors need two: (rows, dimension)"));
  }
  const absl::StatusOr<ElementType> type = VectorElementType(shape.element);
  if (!type.ok()) return reader->Annotate(type.status());
  return std::unique_ptr<VectorReader>(new VectorReader(std::move(reader), *type));
}

absl::StatusOr<uint64_t> VectorReader::Read(uint64_t rows_max, std::string* out) {
  ASSIGN_OR_RETURN(const uint64_t rows, reader_->Read(rows_max, out));
  if (file_element() == FileElement::kFloat64) NarrowInPlace(out);
  return rows;
}

}  // namespace tessera::cli
