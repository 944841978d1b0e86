#ifndef TESSERA_SERVER_ENGINE_RECORD_VALUES_H_
#define TESSERA_SERVER_ENGINE_RECORD_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "index/base/byte_io.h"
#include "server/engine/record_keys.h"

// What the values of all records have in common: a version, fields, a checksum. For records.cc,
// which knows the fields.
namespace tessera {

// Part of the checksum. Never renumber.
enum class RecordKind : uint8_t {
  kFormat = 1,
  kNextCollectionId = 2,
  kCatalog = 3,
  kCounter = 4,
  kCodebook = 5,
  kSlot = 6,
  kPoint = 7,
  kCode = 8,
  kPayloadIndex = 9,
  kRequest = 10,
  kAlias = 11,
  kSettings = 12,
  kCentroid = 13,
  kLastCodebook = 14,
  kIndexContents = 15,
  kIndexPart = 16,
  kIndexChanges = 17,
  kDeletion = 18,
  kCalibration = 19,
};

// The version of a value whose kind has had no other.
inline constexpr uint8_t kRecordVersion = 1;

// Writes one value: the version at once, the checksum with Finish().
class ValueWriter {
 public:
  ValueWriter(RecordKind kind, std::string_view key, std::string* value,
              uint8_t version = kRecordVersion);

  template <FixedWidth T>
  void Write(T number) {
    number = byte_io_internal::LittleEndian(number);
    char bytes[sizeof(T)];
    std::memcpy(bytes, &number, sizeof(T));
    value_->append(bytes, sizeof(T));
  }
  void WriteBytes(std::string_view bytes) { value_->append(bytes); }
  void WriteId(const PointIdView& id);

  void Finish();

 private:
  RecordKind kind_;
  std::string_view key_;
  std::string* value_;
};

// Reads one value; construct, ask for status(), read the fields, end with Finish or Rest.
class ValueReader {
 public:
  // DATA_LOSS if the checksum is another one, FAILED_PRECONDITION if the version is later than
  // `newest`.
  ValueReader(RecordKind kind, std::string_view key, std::string_view value,
              uint8_t newest = kRecordVersion);

  const absl::Status& status() const { return status_; }
  uint8_t version() const { return version_; }
  ByteReader& body() { return body_; }

  [[nodiscard]] bool ReadId(PointIdView* id);
  // All bytes that remain.
  std::string_view Rest();

  // `fields_ok`: all reads succeeded.
  absl::Status Finish(bool fields_ok) const;

 private:
  RecordKind kind_;
  std::string_view key_;
  uint8_t version_ = 0;
  ByteReader body_;
  absl::Status status_;
};

// Values of one number.
void EncodeU32(RecordKind kind, std::string_view key, uint32_t number, std::string* value);
absl::Status DecodeU32(RecordKind kind, std::string_view key, std::string_view value,
                       uint32_t* number);

// Values that are nothing but bytes of somebody else's format.
void EncodeBytes(RecordKind kind, std::string_view key, std::string_view bytes, std::string* value);
absl::Status DecodeBytes(RecordKind kind, std::string_view key, std::string_view value,
                         std::string_view* bytes);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_RECORD_VALUES_H_
