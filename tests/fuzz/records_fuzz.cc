// Records: any bytes under any key are decoded without a crash, and what is accepted is encoded
// back to the same bytes. The checksum is made to match, so that the fields behind it are reached.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "index/base/crc32c.h"
#include "server/engine/deletions.h"
#include "server/engine/records.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace tessera;  // NOLINT: a program of its own

// Completes the body with the checksum that the kind of record asks for.
std::string Sealed(uint8_t kind, std::string_view key, std::string_view body) {
  uint32_t crc = Crc32c(&kind, 1);
  crc = ExtendCrc32c(crc, key.data(), key.size());
  crc = ExtendCrc32c(crc, body.data(), body.size());
  std::string value(body);
  for (int shift = 0; shift < 32; shift += 8) value.push_back(static_cast<char>(crc >> shift));
  return value;
}

template <class Record, class Decode, class Encode>
void RoundTrip(std::string_view key, const std::string& value, Decode decode, Encode encode) {
  Record record{};
  if (!decode(key, std::string_view(value), &record).ok()) return;
  std::string again;
  encode(key, record, &again);
  FUZZ_CHECK(again == value);
}

// The slots of a deletion: those of a sound record are few, and ascend.
void DecodeSlots(std::string_view key, const std::string& value) {
  constexpr uint64_t kEnd = 1'000'000;
  std::vector<Slot> slots;
  if (!DecodeDeletedSlots(key, value, kEnd, &slots).ok()) return;
  FUZZ_CHECK(!slots.empty() && slots.size() <= limits::kDeletionStepPointsMax);
  for (size_t i = 1; i < slots.size(); ++i) FUZZ_CHECK(slots[i - 1] < slots[i]);
  FUZZ_CHECK(slots.back() < kEnd);
}

void DecodeValue(uint8_t kind, std::string_view key, const std::string& value) {
  switch (kind) {
    case 1:
      return RoundTrip<uint32_t>(key, value, DecodeFormat, EncodeFormat);
    case 2:
      return RoundTrip<uint32_t>(key, value, DecodeNextCollectionId, EncodeNextCollectionId);
    case 3:
      return RoundTrip<CatalogRecord>(key, value, DecodeCatalog, EncodeCatalog);
    case 4:
      return RoundTrip<CounterRecord>(key, value, DecodeCounter, EncodeCounter);
    case 5:
      return RoundTrip<CodebookRecordView>(key, value, DecodeCodebook, EncodeCodebook);
    case 6:
      return RoundTrip<Slot>(key, value, DecodeSlot, EncodeSlot);
    case 7:
      return RoundTrip<PointRecordView>(key, value, DecodePoint, EncodePoint);
    case 8:
      return RoundTrip<CodeRecordView>(key, value, DecodeCode, EncodeCode);
    case 9:
      return RoundTrip<PayloadIndexType>(key, value, DecodePayloadIndex, EncodePayloadIndex);
    case 10:
      return RoundTrip<RequestRecord>(key, value, DecodeRequest, EncodeRequest);
    case 11:
      return RoundTrip<std::string_view>(key, value, DecodeAlias, EncodeAlias);
    case 13:
      return RoundTrip<std::string_view>(key, value, DecodeCentroid, EncodeCentroid);
    case 14:
      return RoundTrip<uint32_t>(key, value, DecodeLastCodebook, EncodeLastCodebook);
    case 15:
      return RoundTrip<IndexContentsRecord>(key, value, DecodeIndexContents, EncodeIndexContents);
    case 16:
      return RoundTrip<std::string_view>(key, value, DecodeIndexPart, EncodeIndexPart);
    case 17:
      return RoundTrip<IndexChangesRecordView>(key, value, DecodeIndexChanges, EncodeIndexChanges);
    case 18:
      DecodeSlots(key, value);
      return RoundTrip<std::string_view>(key, value, DecodeDeletion, EncodeDeletion);
    case 19:
      return RoundTrip<CalibrationRecord>(key, value, DecodeCalibration, EncodeCalibration);
    default:
      return RoundTrip<SettingsRecordView>(key, value, DecodeSettings, EncodeSettings);
  }
}

void ParseKeys(std::string_view key) {
  IdKeyParts id;
  if (ParseIdKey(key, &id).ok()) {
    FUZZ_CHECK(IdKey(id.collection_id, ToPointId(id.id)) == key);
    DescribePointId(id.id);
  }
  CodeKeyParts code;
  if (ParseCodeKey(key, &code).ok()) {
    FUZZ_CHECK(CodeKey(code.collection_id, code.codebook_version, code.list, code.slot) == key);
  }
  PointKeyParts point;
  if (ParsePointKey(key, &point).ok()) {
    FUZZ_CHECK(PointKey(point.collection_id, point.slot) == key);
  }
  CodebookKeyParts codebook;
  if (ParseCodebookKey(key, &codebook).ok()) {
    FUZZ_CHECK(CodebookKey(codebook.collection_id, codebook.version) == key);
  }
  CodebookKeyParts calibration;
  if (ParseCalibrationKey(key, &calibration).ok()) {
    FUZZ_CHECK(CalibrationKey(calibration.collection_id, calibration.version) == key);
  }
  CentroidKeyParts centroid;
  if (ParseCentroidKey(key, &centroid).ok()) {
    FUZZ_CHECK(CentroidKey(centroid.collection_id, centroid.version, centroid.list) == key);
  }
  std::string_view field;
  if (ParsePayloadIndexKey(key, &field).ok()) FUZZ_CHECK(key.ends_with(field) && !field.empty());
  std::string_view request_id;
  if (ParseRequestKey(key, &request_id).ok()) FUZZ_CHECK(key.ends_with(request_id));
  IndexPartKeyParts part;
  if (ParseIndexPartKey(key, &part).ok()) FUZZ_CHECK(IndexPartKey(part) == key);
  uint64_t sequence = 0;
  if (ParseIndexChangesKey(key, &sequence).ok()) FUZZ_CHECK(key.size() == 26);
  DeletionKeyParts deletion;
  if (ParseDeletionKey(key, &deletion).ok()) FUZZ_CHECK(DeletionKey(deletion) == key);
  uint32_t collection_id = 0;
  if (ParseCatalogKey(key, &collection_id).ok()) FUZZ_CHECK(CatalogKey(collection_id) == key);
}

}  // namespace

// The first byte is the kind of record, the second the length of the key.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto kind = static_cast<uint8_t>(1 + data[0] % 19);
  std::string_view rest(reinterpret_cast<const char*>(data + 2), size - 2);
  const std::string_view key = rest.substr(0, data[1]);
  const std::string_view body = rest.substr(key.size());
  ParseKeys(key);
  DecodeValue(kind, key, std::string(body));
  DecodeValue(kind, key, Sealed(kind, key, body));
  return 0;
}
