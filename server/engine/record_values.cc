#include "server/engine/record_values.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/check.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

constexpr size_t kChecksumBytes = 4;
constexpr uint8_t kNumberTag = 0;
constexpr uint8_t kStringTag = 1;

const char* Name(RecordKind kind) {
  switch (kind) {
    case RecordKind::kFormat:
      return "format";
    case RecordKind::kNextCollectionId:
      return "next_collection_id";
    case RecordKind::kCatalog:
      return "catalog";
    case RecordKind::kCounter:
      return "counter";
    case RecordKind::kCodebook:
      return "codebook";
    case RecordKind::kSlot:
      return "id";
    case RecordKind::kPoint:
      return "point";
    case RecordKind::kCode:
      return "code";
    case RecordKind::kAlias:
      return "alias";
    case RecordKind::kPayloadIndex:
      return "payload index";
    case RecordKind::kSettings:
      return "settings";
    case RecordKind::kRequest:
      return "request";
    case RecordKind::kCentroid:
      return "centroid";
    case RecordKind::kLastCodebook:
      return "last codebook";
    case RecordKind::kIndexContents:
      return "index contents";
    case RecordKind::kIndexPart:
      return "index part";
    case RecordKind::kIndexChanges:
      return "index changes";
    case RecordKind::kCalibration:
      return "calibration";
    case RecordKind::kDeletion:
      return "deletion";
  }
  return "unknown";
}

// Only called for messages.
std::string Describe(RecordKind kind, std::string_view key) {
  const std::string hex = absl::BytesToHexString(absl::string_view(key.data(), key.size()));
  std::string where = absl::StrCat(Name(kind), " record under key ", hex);
  PointKeyParts point;
  CodeKeyParts code;
  if (kind == RecordKind::kPoint && ParsePointKey(key, &point).ok()) {
    absl::StrAppend(&where, " (collection ", point.collection_id, ", slot ", point.slot, ")");
  }
  if (kind == RecordKind::kCode && ParseCodeKey(key, &code).ok()) {
    absl::StrAppend(&where, " (collection ", code.collection_id, ", codebook ",
                    code.codebook_version, ", list ", code.list, ", slot ", code.slot, ")");
  }
  return where;
}

absl::Status Damaged(RecordKind kind, std::string_view key, std::string_view what) {
  return ErrorWithReason(absl::StatusCode::kDataLoss, "RECORD_DAMAGED",
                         absl::StrCat(Describe(kind, key), " is damaged: ", std::string(what)));
}

uint32_t Checksum(RecordKind kind, std::string_view key, const char* value, size_t size) {
  uint32_t crc = Crc32c(&kind, sizeof(kind));
  crc = ExtendCrc32c(crc, key.data(), key.size());
  return ExtendCrc32c(crc, value, size);
}

}  // namespace

ValueWriter::ValueWriter(RecordKind kind, std::string_view key, std::string* value, uint8_t version)
    : kind_(kind), key_(key), value_(value) {
  value_->clear();
  Write(version);
}

void ValueWriter::WriteId(const PointIdView& id) {
  if (const auto* number = std::get_if<uint64_t>(&id)) {
    Write(kNumberTag);
    Write(*number);
    return;
  }
  const auto text = std::get<std::string_view>(id);
  TESSERA_CHECK(!text.empty() && text.size() <= limits::kStringIdBytesMax);
  Write(kStringTag);
  Write(static_cast<uint16_t>(text.size()));
  WriteBytes(text);
}

void ValueWriter::Finish() { Write(Checksum(kind_, key_, value_->data(), value_->size())); }

ValueReader::ValueReader(RecordKind kind, std::string_view key, std::string_view value,
                         uint8_t newest)
    : kind_(kind), key_(key), body_(std::string_view()) {
  if (value.size() < 1 + kChecksumBytes) {
    status_ = Damaged(kind, key, "too short");
    return;
  }
  const size_t size = value.size() - kChecksumBytes;
  ByteReader tail(value.substr(size));
  uint32_t stored = 0;
  if (!tail.ReadU32(&stored) || stored != Checksum(kind, key, value.data(), size)) {
    status_ = Damaged(kind, key, "the checksum does not match");
    return;
  }
  version_ = static_cast<uint8_t>(value[0]);
  if (version_ < kRecordVersion || version_ > newest) {
    status_ = ErrorWithReason(absl::StatusCode::kFailedPrecondition, "STORE_FORMAT_TOO_NEW",
                              absl::StrCat(Describe(kind, key), " has version ", version_,
                                           "; this server reads version ", newest));
    return;
  }
  body_ = ByteReader(value.substr(1, size - 1));
}

bool ValueReader::ReadId(PointIdView* id) {
  uint8_t tag = 0;
  if (!body_.ReadU8(&tag)) return false;
  if (tag == kNumberTag) {
    uint64_t number = 0;
    if (!body_.ReadU64(&number)) return false;
    *id = number;
    return true;
  }
  uint16_t size = 0;
  std::string_view text;
  if (tag != kStringTag || !body_.ReadU16(&size) || size == 0 || size > limits::kStringIdBytesMax ||
      !body_.ReadBytes(size, &text)) {
    return false;
  }
  *id = text;
  return true;
}

std::string_view ValueReader::Rest() {
  std::string_view rest;
  if (!body_.ReadBytes(body_.remaining(), &rest)) return {};
  return rest;
}

absl::Status ValueReader::Finish(bool fields_ok) const {
  if (fields_ok && body_.AtEnd()) return absl::OkStatus();
  return Damaged(kind_, key_, "a field is out of its range");
}

void EncodeU32(RecordKind kind, std::string_view key, uint32_t number, std::string* value) {
  ValueWriter writer(kind, key, value);
  writer.Write(number);
  writer.Finish();
}

absl::Status DecodeU32(RecordKind kind, std::string_view key, std::string_view value,
                       uint32_t* number) {
  ValueReader reader(kind, key, value);
  RETURN_IF_ERROR(reader.status());
  return reader.Finish(reader.body().ReadU32(number));
}

void EncodeBytes(RecordKind kind, std::string_view key, std::string_view bytes,
                 std::string* value) {
  ValueWriter writer(kind, key, value);
  writer.WriteBytes(bytes);
  writer.Finish();
}

absl::Status DecodeBytes(RecordKind kind, std::string_view key, std::string_view value,
                         std::string_view* bytes) {
  ValueReader reader(kind, key, value);
  RETURN_IF_ERROR(reader.status());
  *bytes = reader.Rest();
  return reader.Finish(true);
}

}  // namespace tessera
