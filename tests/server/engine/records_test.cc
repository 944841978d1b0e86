#include "server/engine/records.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"
#include "server/engine/record_values.h"

namespace tessera {
namespace {

// One record of every kind: as it is encoded, and how to decode it.
struct Case {
  std::string name;
  std::string key;
  std::string value;
  std::string golden_hex;
  std::function<absl::Status(std::string_view key, std::string_view value)> decode;
};

CatalogRecord SampleCatalog() {
  CatalogRecord record;
  record.id = 7;
  record.spec.name = "words";
  record.spec.dimension = 128;
  record.spec.metric = Metric::kInnerProduct;
  record.spec.element_type = ElementType::kUint8;
  record.spec.index = {.nlist = 1'024,
                       .subquantizers = 64,
                       .nbits = 4,
                       .vectors = VectorPlacement::kDisk,
                       .seed = 0x0102030405060708,
                       .iterations = 20,
                       .training_vectors_per_list = 256,
                       .default_nprobe = 32,
                       .default_rerank = 100};
  record.create_time_ms = 1'700'000'000'000;
  record.codebook_version = 3;
  return record;
}

template <class Record>
auto Decoder(absl::Status (*decode)(std::string_view, std::string_view, Record*)) {
  return [decode](std::string_view key, std::string_view value) {
    Record record{};
    return decode(key, value, &record);
  };
}

using V = std::string*;
using K = const std::string&;

template <class Encode, class Decode>
Case MakeCase(std::string name, std::string key, std::string hex, Encode encode, Decode decode) {
  Case c{std::move(name), std::move(key), "", std::move(hex), decode};
  encode(c.key, &c.value);
  return c;
}

// Those of the family meta.
std::vector<Case> MetaCases() {
  std::vector<Case> cases;
  const auto add = [&](auto&&... parts) { cases.push_back(MakeCase(parts...)); };
  add(
      "format", FormatKey(), "0101000000311d401c", [](K k, V v) { EncodeFormat(k, 1, v); },
      Decoder(DecodeFormat));
  add(
      "last codebook", LastCodebookKey(7), "01010203048ab2549f",
      [](K k, V v) { EncodeLastCodebook(k, 0x04030201, v); }, Decoder(DecodeLastCodebook));
  add(
      "next", NextCollectionIdKey(), "01d4c3b2a128330c93",
      [](K k, V v) { EncodeNextCollectionId(k, 0xA1B2C3D4, v); }, Decoder(DecodeNextCollectionId));
  add(
      "catalog", CatalogKey(7),
      "01070000000500776f72647380000000020300040000400000000400000002080706050403020114"
      "0000000001000020000000640000000068e5cf8b0100000300000018f91b18",
      [](K k, V v) { EncodeCatalog(k, SampleCatalog(), v); }, Decoder(DecodeCatalog));
  add(
      "counter", CounterKey(7), "010500000000000000d4c3b2a100000000e9a49848",
      [](K k, V v) { EncodeCounter(k, {.sequence = 5, .next_slot = 0xA1B2C3D4}, v); },
      Decoder(DecodeCounter));
  add(
      "alias", AliasKey("x"), "01776f726473474a8ea8", [](K k, V v) { EncodeAlias(k, "words", v); },
      Decoder(DecodeAlias));
  add(
      "payload index", PayloadIndexKey(7, "a.b"), "0104ae2323d2",
      [](K k, V v) { EncodePayloadIndex(k, PayloadIndexType::kDatetime, v); },
      Decoder(DecodePayloadIndex));
  add(
      "index contents", IndexContentsKey(7),
      "010200000005000000000000002c0100000000000004010000000300612e620102010000010063619e2292",
      [](K k, V v) {
        EncodeIndexContents(k,
                            {.number = 2,
                             .sequence = 5,
                             .slot_end = 300,
                             .fields = {{PayloadIndexType::kDatetime, 1, "a.b"},
                                        {PayloadIndexType::kKeyword, 258, "c"}}},
                            v);
      },
      Decoder(DecodeIndexContents));
  add(
      "index part", IndexPartKey({7, 2, 1, 0}), "010100cb942897",
      [](K k, V v) { EncodeIndexPart(k, std::string_view("\x01\x00", 2), v); },
      Decoder(DecodeIndexPart));
  add(
      "index changes", IndexChangesKey(7, 6), "010500000000000000024a46daee",
      [](K k, V v) {
        EncodeIndexChanges(k, {.before = 5, .slots = std::string_view("\x02", 1)}, v);
      },
      Decoder(DecodeIndexChanges));
  add(
      "deletion", DeletionKey({7, 6, 1}), "01029bb6f10a",
      [](K k, V v) { EncodeDeletion(k, std::string_view("\x02", 1), v); }, Decoder(DecodeDeletion));
  add(
      "settings", SettingsKey(7), "010203000000000000007b2261223a317d2b28ab9b",
      [](K k, V v) {
        EncodeSettings(
            k, {.durability = Durability::kAsync, .revision = 3, .metadata = "{\"a\":1}"}, v);
      },
      Decoder(DecodeSettings));
  add(
      "request", RequestKey(7, "r-1"), "01d4c3b2a102000000000000000500000000000000ea92fefe",
      [](K k, V v) {
        EncodeRequest(k, {.fingerprint = 0xA1B2C3D4, .result = {.points = 2, .sequence = 5}}, v);
      },
      Decoder(DecodeRequest));
  return cases;
}

std::vector<Case> Cases() {
  std::vector<Case> cases = MetaCases();
  const auto add = [&](auto&&... parts) { cases.push_back(MakeCase(parts...)); };
  add(
      "calibration", CalibrationKey(7, 1), "010068e5cf8b01000001020000000300000004030201739dff926a",
      [](K k, V v) {
        EncodeCalibration(k,
                          {.create_time_ms = 1'700'000'000'000,
                           .stored_queries = true,
                           .held_back = {3, 0x01020304},
                           .surface = "s"},
                          v);
      },
      Decoder(DecodeCalibration));
  add(
      "codebook", CodebookKey(7, 3), "01010000000000000003616263636f6465626f6f6b9898bc08",
      [](K k, V v) {
        EncodeCodebook(k, {.create_time_ms = 1, .content_hash = "abc", .bytes = "codebook"}, v);
      },
      Decoder(DecodeCodebook));
  add(
      "centroid", CentroidKey(7, 3, 2), "010000803fc5b0e007",
      [](K k, V v) { EncodeCentroid(k, std::string_view("\0\0\x80\x3f", 4), v); },
      Decoder(DecodeCentroid));
  add(
      "slot", IdKey(7, PointId("x")), "0104030201b72cd749",
      [](K k, V v) { EncodeSlot(k, 0x01020304, v); }, Decoder(DecodeSlot));
  add(
      "point", PointKey(7, 9), "01000b00000000000000030000000102037b7df807fb37",
      [](K k, V v) {
        EncodePoint(k, {.id = uint64_t{11}, .vector = "\x01\x02\x03", .payload = "{}"}, v);
      },
      Decoder(DecodePoint));
  add(
      "code", CodeKey(7, 3, 2, 9), "010000c03f000000800102006964f00fac5718e9",
      [](K k, V v) {
        EncodeCode(
            k, {.id = std::string_view("id"), .code = "\xF0\x0F", .bias = 1.5f, .error = -0.0f}, v);
      },
      Decoder(DecodeCode));
  return cases;
}

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

void ExpectDamaged(const absl::Status& status) {
  ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  ASSERT_EQ(GetStatusDetails(status).reason, "RECORD_DAMAGED");
}

TEST(RecordsTest, GoldenBytes) {
  for (const Case& c : Cases()) EXPECT_EQ(Hex(c.value), c.golden_hex) << c.name;
}

TEST(RecordsTest, EveryBitFlipOfTheValueIsDetected) {
  for (const Case& c : Cases()) {
    ASSERT_TRUE(c.decode(c.key, c.value).ok()) << c.name;
    for (size_t bit = 0; bit < 8 * c.value.size(); ++bit) {
      std::string damaged = c.value;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      SCOPED_TRACE(c.name + " bit " + std::to_string(bit));
      ExpectDamaged(c.decode(c.key, damaged));
    }
  }
}

TEST(RecordsTest, EveryTruncationAndExtensionIsDetected) {
  for (const Case& c : Cases()) {
    for (size_t size = 0; size < c.value.size(); ++size) {
      SCOPED_TRACE(c.name + " cut to " + std::to_string(size));
      ExpectDamaged(c.decode(c.key, c.value.substr(0, size)));
      if (size > 0) ExpectDamaged(c.decode(c.key, c.value.substr(size)));
    }
    ExpectDamaged(c.decode(c.key, c.value + '\0'));
    ExpectDamaged(c.decode(c.key, c.value + c.value));
  }
}

TEST(RecordsTest, ValueUnderAnotherKeyIsDetected) {
  for (const Case& c : Cases()) {
    for (size_t bit = 0; bit < 8 * c.key.size(); ++bit) {
      std::string key = c.key;
      key[bit / 8] = static_cast<char>(key[bit / 8] ^ (1 << (bit % 8)));
      SCOPED_TRACE(c.name + " key bit " + std::to_string(bit));
      ExpectDamaged(c.decode(key, c.value));
    }
  }
}

TEST(RecordsTest, ValueOfAnotherKindIsDetected) {
  const std::vector<Case> cases = Cases();
  for (const Case& stored : cases) {
    for (const Case& read : cases) {
      if (&stored == &read) continue;
      SCOPED_TRACE(stored.name + " read as " + read.name);
      ExpectDamaged(read.decode(stored.key, stored.value));
    }
  }
}

TEST(RecordsTest, NamesTheDamagedRecord) {
  CodeRecordView record;
  const absl::Status status = DecodeCode(CodeKey(7, 3, 2, 9), "damaged bytes", &record);
  EXPECT_NE(status.message().find("collection 7, codebook 3, list 2, slot 9"),
            absl::string_view::npos)
      << status;
}

TEST(RecordsTest, CatalogRoundTrip) {
  const CatalogRecord in = SampleCatalog();
  std::string value;
  EncodeCatalog(CatalogKey(7), in, &value);
  CatalogRecord out;
  ASSERT_TRUE(DecodeCatalog(CatalogKey(7), value, &out).ok());
  EXPECT_EQ(out.id, in.id);
  EXPECT_EQ(out.spec.name, in.spec.name);
  EXPECT_EQ(out.spec.dimension, in.spec.dimension);
  EXPECT_EQ(out.spec.metric, in.spec.metric);
  EXPECT_EQ(out.spec.element_type, in.spec.element_type);
  EXPECT_EQ(out.spec.index.nlist, in.spec.index.nlist);
  EXPECT_EQ(out.spec.index.subquantizers, in.spec.index.subquantizers);
  EXPECT_EQ(out.spec.index.nbits, in.spec.index.nbits);
  EXPECT_EQ(out.spec.index.vectors, in.spec.index.vectors);
  EXPECT_EQ(out.spec.index.seed, in.spec.index.seed);
  EXPECT_EQ(out.spec.index.iterations, in.spec.index.iterations);
  EXPECT_EQ(out.spec.index.training_vectors_per_list, in.spec.index.training_vectors_per_list);
  EXPECT_EQ(out.spec.index.default_nprobe, in.spec.index.default_nprobe);
  EXPECT_EQ(out.spec.index.default_rerank, in.spec.index.default_rerank);
  EXPECT_EQ(out.create_time_ms, in.create_time_ms);
  EXPECT_EQ(out.codebook_version, in.codebook_version);
}

// Servers that know no scalar codes read version 1 alone, and say that the store is too new.
TEST(RecordsTest, OnlyTheCatalogOfScalarCodesIsOfVersion2) {
  CatalogRecord record = SampleCatalog();
  for (const auto& [placement, version] : {std::pair(VectorPlacement::kMemory, 1),
                                           {VectorPlacement::kDisk, 1},
                                           {VectorPlacement::kDiskSq8, 2}}) {
    record.spec.index.vectors = placement;
    std::string value;
    EncodeCatalog(CatalogKey(7), record, &value);
    EXPECT_EQ(value[0], version);
    CatalogRecord out;
    ASSERT_TRUE(DecodeCatalog(CatalogKey(7), value, &out).ok());
    EXPECT_EQ(out.spec.index.vectors, placement);
    const ValueReader earlier(RecordKind::kCatalog, CatalogKey(7), value);
    EXPECT_EQ(earlier.status().ok(), version == 1);
    if (version == 2) {
      EXPECT_EQ(GetStatusDetails(earlier.status()).reason, "STORE_FORMAT_TOO_NEW");
    }
  }
}

TEST(RecordsTest, ACatalogOfTheWrongVersionIsDamaged) {
  for (const auto& [placement, version] :
       {std::pair(uint8_t{3}, uint8_t{1}), {uint8_t{2}, uint8_t{2}}}) {
    // As EncodeCatalog writes it, but for these two.
    std::string value;
    ValueWriter writer(RecordKind::kCatalog, CatalogKey(7), &value, version);
    writer.Write(uint32_t{7});
    writer.Write(uint16_t{1});
    writer.WriteBytes("x");
    writer.Write(uint32_t{128});
    writer.WriteBytes("\x01\x01");
    for (int i = 0; i < 3; ++i) writer.Write(uint32_t{0});
    writer.Write(placement);
    writer.Write(uint64_t{1});
    for (int i = 0; i < 4; ++i) writer.Write(uint32_t{0});
    writer.Write(int64_t{0});
    writer.Write(uint32_t{0});
    writer.Finish();
    CatalogRecord out;
    ExpectDamaged(DecodeCatalog(CatalogKey(7), value, &out));
  }
}

TEST(RecordsTest, CatalogFieldOutOfRangeIsRefusedThoughTheChecksumMatches) {
  const auto decode = [](const CatalogRecord& record) {
    std::string value;
    EncodeCatalog(CatalogKey(7), record, &value);
    CatalogRecord out;
    return DecodeCatalog(CatalogKey(7), value, &out);
  };
  CatalogRecord record = SampleCatalog();
  record.spec.metric = static_cast<Metric>(4);
  ExpectDamaged(decode(record));
  record = SampleCatalog();
  record.spec.element_type = static_cast<ElementType>(0);
  ExpectDamaged(decode(record));
  record = SampleCatalog();
  record.spec.index.vectors = static_cast<VectorPlacement>(4);
  ExpectDamaged(decode(record));
  record = SampleCatalog();
  record.spec.dimension = 0;
  ExpectDamaged(decode(record));
}

TEST(RecordsTest, SmallRecordsRoundTrip) {
  std::string value;
  CounterRecord counter;
  EncodeCounter("k", {.sequence = ~uint64_t{0}, .next_slot = 17}, &value);
  ASSERT_TRUE(DecodeCounter("k", value, &counter).ok());
  EXPECT_EQ(counter.sequence, ~uint64_t{0});
  EXPECT_EQ(counter.next_slot, 17u);

  // Recovery sizes tables by it.
  EncodeCounter("k", {.sequence = 1, .next_slot = limits::kPointsPerCollectionMax + 1}, &value);
  ExpectDamaged(DecodeCounter("k", value, &counter));

  SettingsRecordView settings;
  EncodeSettings("k", {.durability = Durability::kSync, .revision = 9, .metadata = ""}, &value);
  ASSERT_TRUE(DecodeSettings("k", value, &settings).ok());
  EXPECT_EQ(settings.durability, Durability::kSync);
  EXPECT_EQ(settings.revision, 9u);
  EXPECT_EQ(settings.metadata, "");
  const std::string long_metadata(limits::kCollectionMetadataBytesMax + 1, 'm');
  EncodeSettings("k", {.revision = 9, .metadata = long_metadata}, &value);
  ExpectDamaged(DecodeSettings("k", value, &settings));

  Slot slot = 0;
  EncodeSlot("k", 0xFFFFFF00, &value);
  EXPECT_EQ(value.size(), 9u);
  ASSERT_TRUE(DecodeSlot("k", value, &slot).ok());
  EXPECT_EQ(slot, 0xFFFFFF00);

  CodebookRecordView codebook;
  const std::string bytes(100'000, '\x7F');
  EncodeCodebook("k", {.create_time_ms = -5, .content_hash = "", .bytes = bytes}, &value);
  ASSERT_TRUE(DecodeCodebook("k", value, &codebook).ok());
  EXPECT_EQ(codebook.create_time_ms, -5);
  EXPECT_EQ(codebook.content_hash, "");
  EXPECT_EQ(codebook.bytes, bytes);
}

TEST(RecordsTest, FormatsThatAreRead) {
  for (uint32_t format = kStoreFormatMin; format <= kStoreFormat; ++format) {
    EXPECT_TRUE(CheckStoreFormat(format).ok()) << format;
  }
  const absl::Status older = CheckStoreFormat(0);
  EXPECT_EQ(older.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(GetStatusDetails(older).reason, "STORE_FORMAT");
  const absl::Status newer = CheckStoreFormat(kStoreFormat + 1);
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(GetStatusDetails(newer).reason, "STORE_FORMAT_TOO_NEW");
  EXPECT_EQ(newer.message(),
            "the store has format 4; this version reads formats 1 to 3: a later version has "
            "written it, and can read it");
}

TEST(RecordsTest, PointsAndCodesRoundTripWithViewsIntoTheValue) {
  const std::string text(256, 'i');
  for (const PointIdView& id : {PointIdView(~uint64_t{0}), PointIdView(text)}) {
    for (size_t vector_bytes : {0, 1, 512}) {
      for (const char* payload : {"", R"({"a":1})"}) {
        std::string value;
        const std::string vector(vector_bytes, '\xAB');
        EncodePoint("key", {.id = id, .vector = vector, .payload = payload}, &value);
        PointRecordView point;
        ASSERT_TRUE(DecodePoint("key", value, &point).ok());
        EXPECT_EQ(point.id, id);
        EXPECT_EQ(point.vector, vector);
        EXPECT_EQ(point.payload, payload);
        EXPECT_GE(point.vector.data(), value.data());
        EXPECT_LT(point.vector.data(), value.data() + value.size());
      }
    }
    std::string value;
    EncodeCode("key", {.id = id, .code = "", .bias = -1e30f, .error = 0.25f}, &value);
    CodeRecordView code;
    ASSERT_TRUE(DecodeCode("key", value, &code).ok());
    EXPECT_EQ(code.id, id);
    EXPECT_EQ(code.code, "");
    EXPECT_EQ(code.bias, -1e30f);
    EXPECT_EQ(code.error, 0.25f);
  }
}

TEST(RecordsTest, LaterVersionIsNoDamage) {
  // A record of version 2 that holds a checksum as every version does.
  Slot slot = 0;
  const std::string value = absl::HexStringToBytes("0204030201439ce401");
  const absl::Status status = DecodeSlot(IdKey(7, PointId("x")), value, &slot);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(GetStatusDetails(status).reason, "STORE_FORMAT_TOO_NEW");
}

// Restart reads a million of these; the bound is loose enough for sanitizers on a busy machine.
TEST(RecordsTest, DecodingAMillionCodesIsFast) {
  const std::string key = CodeKey(1, 1, 17, 99);
  std::string value;
  EncodeCode(key, {.id = uint64_t{7}, .code = std::string(32, 'c'), .bias = 1, .error = 2}, &value);
  const auto start = std::chrono::steady_clock::now();
  CodeRecordView record;
  CodeKeyParts parts;
  for (int i = 0; i < 1'000'000; ++i) {
    ASSERT_TRUE(ParseCodeKey(key, &parts).ok() && DecodeCode(key, value, &record).ok());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  RecordProperty("milliseconds", static_cast<int>(elapsed.count() * 1'000));
  EXPECT_LT(elapsed.count(), 5.0);
}

}  // namespace
}  // namespace tessera
