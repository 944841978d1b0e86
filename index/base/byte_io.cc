#include "index/base/byte_io.h"

#include "absl/strings/str_cat.h"
#include "index/base/check.h"
#include "index/base/checked_math.h"

namespace tessera {

void ByteWriter::WriteString(std::string_view value) {
  TESSERA_CHECK(value.size() <= UINT32_MAX);
  WriteU32(static_cast<uint32_t>(value.size()));
  WriteBytes(value);
}

void ByteWriter::PatchU32(size_t offset, uint32_t value) {
  TESSERA_CHECK(offset <= bytes_.size() && bytes_.size() - offset >= sizeof(value));
  value = byte_io_internal::LittleEndian(value);
  std::memcpy(bytes_.data() + offset, &value, sizeof(value));
}

const char* ByteReader::Consume(uint64_t size) {
  if (!ok_ || size > remaining()) {
    ok_ = false;
    return nullptr;
  }
  // An empty view may have no memory at all; callers compare with nullptr.
  const char* start = bytes_.empty() ? "" : bytes_.data() + offset_;
  offset_ += size;
  return start;
}

bool ByteReader::ReadBytes(uint64_t size, std::string_view* bytes) {
  const char* source = Consume(size);
  if (source == nullptr) return false;
  *bytes = std::string_view(source, size);
  return true;
}

bool ByteReader::ReadBytesTo(void* out, uint64_t size) {
  const char* source = Consume(size);
  if (source == nullptr) return false;
  if (size != 0) std::memcpy(out, source, size);
  return true;
}

bool ByteReader::ReadString(size_t size_max, std::string_view* value) {
  const size_t start = offset_;
  uint32_t size;
  if (!ReadU32(&size)) return false;
  if (size > size_max || size > remaining()) {
    offset_ = start;
    ok_ = false;
    return false;
  }
  return ReadBytes(size, value);
}

bool ByteReader::ReadString(size_t size_max, std::string* value) {
  std::string_view view;
  if (!ReadString(size_max, &view)) return false;
  value->assign(view);
  return true;
}

bool ByteReader::Skip(uint64_t size) { return Consume(size) != nullptr; }

bool ByteReader::HasRoomFor(uint64_t count, uint64_t element_size) const {
  uint64_t bytes;
  return CheckedMultiply(count, element_size, &bytes) && bytes <= remaining();
}

absl::Status ByteReader::Truncated(std::string_view what) const {
  return absl::DataLossError(
      absl::StrCat(std::string(what), ": at byte ", offset_, " of ", bytes_.size(),
                   " the bytes end too soon or hold a length that does not fit"));
}

absl::Status ByteReader::ExpectEnd(std::string_view what) const {
  if (!ok_) return Truncated(what);
  if (AtEnd()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(std::string(what), ": ", remaining(), " bytes too many after byte ", offset_));
}

}  // namespace tessera
