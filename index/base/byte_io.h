#ifndef TESSERA_INDEX_BASE_BYTE_IO_H_
#define TESSERA_INDEX_BASE_BYTE_IO_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// A number that byte_io writes: fixed width, little-endian, floats as their IEEE-754 bits.
template <class T>
concept FixedWidth =
    (std::integral<T> && !std::same_as<std::remove_cv_t<T>, bool>) ||
    std::same_as<std::remove_cv_t<T>, float> || std::same_as<std::remove_cv_t<T>, double>;

// Appends values to a string of bytes. Not thread-safe. Never fails.
class ByteWriter {
 public:
  ByteWriter() = default;

  void WriteU8(uint8_t value) { WriteFixed(value); }
  void WriteU16(uint16_t value) { WriteFixed(value); }
  void WriteU32(uint32_t value) { WriteFixed(value); }
  void WriteU64(uint64_t value) { WriteFixed(value); }
  void WriteI64(int64_t value) { WriteFixed(value); }
  void WriteF32(float value) { WriteFixed(value); }
  void WriteF64(double value) { WriteFixed(value); }

  // The bytes alone; the reader has to know how many there are.
  void WriteBytes(const void* data, size_t size) {
    if (size != 0) bytes_.append(static_cast<const char*>(data), size);
  }
  void WriteBytes(std::string_view bytes) { bytes_.append(bytes); }
  // The length as u32, then the bytes. The length must be below 2^32.
  void WriteString(std::string_view value);
  // The elements alone, one after the other; the reader has to know the count.
  template <FixedWidth T>
  void WriteArray(std::span<const T> values);

  // Overwrites the four bytes at `offset`, which have been written: a length or checksum that is
  // known only later.
  void PatchU32(size_t offset, uint32_t value);

  void Reserve(size_t bytes) { bytes_.reserve(bytes); }
  size_t size() const { return bytes_.size(); }
  std::string_view view() const { return bytes_; }
  // The bytes so far; the writer is empty afterwards.
  std::string Take() {
    std::string taken = std::move(bytes_);
    bytes_.clear();
    return taken;
  }

 private:
  template <FixedWidth T>
  void WriteFixed(T value);

  std::string bytes_;
};

// Reads what ByteWriter wrote from bytes that nobody vouches for. Does not own the bytes. Not
// thread-safe.
//
// Every read checks the bytes that remain before it touches or allocates anything, and returns
// false when there are too few: nothing is consumed, the output is unchanged, and all later reads
// fail too. So reads can be chained with && and the reason asked for once:
//
//   if (!(reader.ReadU32(&rows) && reader.ReadArray(rows, &norms))) return
//   reader.Truncated("norms");
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  ByteReader(const void* data, size_t size) : bytes_(static_cast<const char*>(data), size) {}

  [[nodiscard]] bool ReadU8(uint8_t* value) { return ReadFixed(value); }
  [[nodiscard]] bool ReadU16(uint16_t* value) { return ReadFixed(value); }
  [[nodiscard]] bool ReadU32(uint32_t* value) { return ReadFixed(value); }
  [[nodiscard]] bool ReadU64(uint64_t* value) { return ReadFixed(value); }
  [[nodiscard]] bool ReadI64(int64_t* value) { return ReadFixed(value); }
  [[nodiscard]] bool ReadF32(float* value) { return ReadFixed(value); }
  [[nodiscard]] bool ReadF64(double* value) { return ReadFixed(value); }

  // A view of the next `size` bytes, valid as long as the bytes under the reader.
  [[nodiscard]] bool ReadBytes(uint64_t size, std::string_view* bytes);
  // Copies the next `size` bytes to `out`.
  [[nodiscard]] bool ReadBytesTo(void* out, uint64_t size);
  // A string that WriteString wrote, of at most `size_max` bytes; a longer one is a failed read.
  [[nodiscard]] bool ReadString(size_t size_max, std::string_view* value);
  [[nodiscard]] bool ReadString(size_t size_max, std::string* value);
  // `count` elements, copied. The count may come straight from the bytes: it is compared with what
  // remains, without overflow, before anything is allocated.
  template <FixedWidth T>
  [[nodiscard]] bool ReadArray(uint64_t count, std::vector<T>* values);
  // The same into memory of the caller's, `values.size()` elements.
  template <FixedWidth T>
  [[nodiscard]] bool ReadArrayTo(std::span<T> values);

  [[nodiscard]] bool Skip(uint64_t size);
  // Whether count * element_size bytes remain; false too if the product overflows. Does not fail
  // the reader.
  [[nodiscard]] bool HasRoomFor(uint64_t count, uint64_t element_size) const;

  bool ok() const { return ok_; }
  bool AtEnd() const { return offset_ == bytes_.size(); }
  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }

  // DATA_LOSS "`what`: ends at byte N of M or holds a length that does not fit": for a failed read.
  absl::Status Truncated(std::string_view what) const;
  // OK if all was read and nothing failed; else DATA_LOSS that names `what`.
  absl::Status ExpectEnd(std::string_view what) const;

 private:
  template <FixedWidth T>
  bool ReadFixed(T* value);
  // Consumes `size` bytes and returns where they start, or nullptr and fails the reader.
  const char* Consume(uint64_t size);

  std::string_view bytes_;
  size_t offset_ = 0;
  bool ok_ = true;
};

namespace byte_io_internal {

// The value with its bytes in little-endian order, or back: its own inverse.
template <FixedWidth T>
T LittleEndian(T value) {
  if constexpr (std::endian::native == std::endian::big) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    for (size_t i = 0; i < sizeof(T) / 2; ++i) std::swap(bytes[i], bytes[sizeof(T) - 1 - i]);
    std::memcpy(&value, bytes, sizeof(T));
  }
  return value;
}

}  // namespace byte_io_internal

template <FixedWidth T>
void ByteWriter::WriteFixed(T value) {
  value = byte_io_internal::LittleEndian(value);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  bytes_.append(bytes, sizeof(T));
}

template <FixedWidth T>
void ByteWriter::WriteArray(std::span<const T> values) {
  if constexpr (std::endian::native == std::endian::little) {
    WriteBytes(values.data(), values.size_bytes());
  } else {
    for (T value : values) WriteFixed(value);
  }
}

template <FixedWidth T>
bool ByteReader::ReadFixed(T* value) {
  const char* source = Consume(sizeof(T));
  if (source == nullptr) return false;
  T raw;
  std::memcpy(&raw, source, sizeof(T));
  *value = byte_io_internal::LittleEndian(raw);
  return true;
}

template <FixedWidth T>
bool ByteReader::ReadArray(uint64_t count, std::vector<T>* values) {
  if (!ok_ || !HasRoomFor(count, sizeof(T))) {
    ok_ = false;
    return false;
  }
  values->resize(count);
  return ReadArrayTo(std::span<T>(*values));
}

template <FixedWidth T>
bool ByteReader::ReadArrayTo(std::span<T> values) {
  const char* source = Consume(values.size_bytes());
  if (source == nullptr) return false;
  if (values.empty()) return true;
  std::memcpy(values.data(), source, values.size_bytes());
  if constexpr (std::endian::native == std::endian::big) {
    for (T& value : values) value = byte_io_internal::LittleEndian(value);
  }
  return true;
}

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_BYTE_IO_H_
