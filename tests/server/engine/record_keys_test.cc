#include "server/engine/record_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"

namespace tessera {
namespace {

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

TEST(RecordKeysTest, GoldenBytes) {
  EXPECT_EQ(FormatKey(), "format");
  EXPECT_EQ(NextCollectionIdKey(), "next_collection_id");
  EXPECT_EQ(Hex(CatalogKey(0x01020304)), "636174616c6f672f01020304");
  EXPECT_EQ(Hex(CounterKey(0x01020304)), "636f756e7465722f01020304");
  EXPECT_EQ(Hex(LastCodebookKey(0x01020304)), "6c6173745f636f6465626f6f6b2f01020304");
  EXPECT_EQ(CollectionOfMetaKey(LastCodebookKey(0x01020304)), 0x01020304u);
  EXPECT_EQ(Hex(IndexContentsKey(7)), "696e6465785f636f6e74656e74732f00000007");
  EXPECT_EQ(Hex(IndexPartKey({7, 2, 1, 0x01020304})),
            "696e6465785f706172742f00000007000000020000000101020304");
  EXPECT_EQ(Hex(IndexChangesKey(7, 0x0102)),
            "696e6465785f6368616e6765732f000000070000000000000102");
  EXPECT_EQ(Hex(DeletionKey({7, 0x0102, 3})), "64656c6574696f6e2f00000007000000000000010200000003");
  EXPECT_EQ(Hex(CalibrationKey(7, 0x01020304)), "63616c6962726174696f6e2f0000000701020304");
  EXPECT_EQ(CollectionOfMetaKey(CalibrationKey(7, 1)), 7u);
  EXPECT_EQ(Hex(CalibrationRange(7).end), "63616c6962726174696f6e2f00000008");
  EXPECT_EQ(CollectionOfMetaKey(DeletionKey({7, 0x0102, 3})), 7u);
  EXPECT_EQ(CollectionOfMetaKey(IndexPartKey({7, 2, 1, 0})), 7u);
  EXPECT_EQ(Hex(KindOfMetaKey(IndexPartKey({7, 2, 1, 0})).end), "696e6465785f706172742f00000008");
  EXPECT_EQ(Hex(CodebookKey(7, 0xA0B0C0D0)), "00000007a0b0c0d0");
  EXPECT_EQ(Hex(IdKey(7, uint64_t{0x0102030405060708})), "00000007000102030405060708");
  EXPECT_EQ(Hex(IdKey(7, PointId("ab"))), "00000007016162");
  EXPECT_EQ(Hex(PointKey(7, 0xFFFFFFFE)), "00000007fffffffe");
  EXPECT_EQ(Hex(CodeKey(1, 2, 3, 4)), "00000001000000020000000300000004");
}

TEST(RecordKeysTest, MovedKeysAreThoseOfTheOtherCollection) {
  const auto moved = [](std::string_view key, auto append) {
    std::string out;
    append(key, 0xFEDCBA98, &out);
    return out;
  };
  EXPECT_EQ(moved(CounterKey(7), AppendMovedMetaKey), CounterKey(0xFEDCBA98));
  EXPECT_EQ(moved(RequestKey(7, "a/b"), AppendMovedMetaKey), RequestKey(0xFEDCBA98, "a/b"));
  EXPECT_EQ(moved(DeletionKey({7, 0x0102, 3}), AppendMovedMetaKey),
            DeletionKey({0xFEDCBA98, 0x0102, 3}));
  EXPECT_EQ(moved(IdKey(7, PointId("a/b")), AppendMovedKey), IdKey(0xFEDCBA98, PointId("a/b")));
  EXPECT_EQ(moved(CodeKey(1, 2, 3, 4), AppendMovedKey), CodeKey(0xFEDCBA98, 2, 3, 4));
}

TEST(RecordKeysTest, ParseGivesBackWhatWasAppended) {
  uint32_t collection_id = 0;
  ASSERT_TRUE(ParseCatalogKey(CatalogKey(0xFEDCBA98), &collection_id).ok());
  EXPECT_EQ(collection_id, 0xFEDCBA98);

  CodebookKeyParts codebook;
  ASSERT_TRUE(ParseCodebookKey(CodebookKey(0x80000001, 0x90000002), &codebook).ok());
  EXPECT_EQ(codebook.collection_id, 0x80000001);
  EXPECT_EQ(codebook.version, 0x90000002);

  for (const PointId& id : {PointId(uint64_t{0}), PointId(~uint64_t{0}), PointId("a"),
                            PointId(std::string(256, '\xFF')), PointId(std::string(1, '\0'))}) {
    const std::string key = IdKey(9, id);
    IdKeyParts parts;
    ASSERT_TRUE(ParseIdKey(key, &parts).ok());
    EXPECT_EQ(parts.collection_id, 9u);
    EXPECT_EQ(ToPointId(parts.id), id);
  }

  IndexPartKeyParts part;
  ASSERT_TRUE(ParseIndexPartKey(IndexPartKey({1, 0x80000002, 3, 4}), &part).ok());
  EXPECT_EQ(part.collection_id, 1u);
  EXPECT_EQ(part.number, 0x80000002);
  EXPECT_EQ(part.field, 3u);
  EXPECT_EQ(part.part, 4u);
  uint64_t sequence = 0;
  ASSERT_TRUE(ParseIndexChangesKey(IndexChangesKey(1, ~uint64_t{1}), &sequence).ok());
  EXPECT_EQ(sequence, ~uint64_t{1});
  DeletionKeyParts deletion;
  ASSERT_TRUE(ParseDeletionKey(DeletionKey({1, ~uint64_t{1}, 0x80000002}), &deletion).ok());
  EXPECT_EQ(deletion.collection_id, 1u);
  EXPECT_EQ(deletion.sequence, ~uint64_t{1});
  EXPECT_EQ(deletion.part, 0x80000002);
  EXPECT_FALSE(ParseDeletionKey(IndexChangesKey(1, 2), &deletion).ok());

  PointKeyParts point;
  ASSERT_TRUE(ParsePointKey(PointKey(3, 0x80000005), &point).ok());
  EXPECT_EQ(point.collection_id, 3u);
  EXPECT_EQ(point.slot, 0x80000005);

  CodeKeyParts code;
  ASSERT_TRUE(ParseCodeKey(CodeKey(0x81, 0x8200, 0x830000, 0x84000000), &code).ok());
  EXPECT_EQ(code.collection_id, 0x81u);
  EXPECT_EQ(code.codebook_version, 0x8200u);
  EXPECT_EQ(code.list, 0x830000u);
  EXPECT_EQ(code.slot, 0x84000000u);
}

TEST(RecordKeysTest, CentroidsOfACodebook) {
  const std::string key = CentroidKey(7, 3, 0x01020304);
  EXPECT_EQ(Hex(key), "000000070000000301020304");
  EXPECT_TRUE(IsCentroidKey(key));
  EXPECT_FALSE(IsCentroidKey(CodebookKey(7, 3)));
  CentroidKeyParts parts{};
  ASSERT_TRUE(ParseCentroidKey(key, &parts).ok());
  EXPECT_EQ(parts.collection_id, 7u);
  EXPECT_EQ(parts.version, 3u);
  EXPECT_EQ(parts.list, 0x01020304u);
  EXPECT_EQ(ParseCentroidKey(CodebookKey(7, 3), &parts).code(), absl::StatusCode::kDataLoss);
}

TEST(RecordKeysTest, AppendAddsToTheEnd) {
  std::string key = "x";
  AppendPointKey(1, 2, &key);
  AppendIdKey(1, PointId("y"), &key);
  AppendCodeKey({1, 2, 3, 4}, &key);
  EXPECT_EQ(key, std::string("x") + PointKey(1, 2) + IdKey(1, PointId("y")) + CodeKey(1, 2, 3, 4));
}

TEST(RecordKeysTest, ByteOrderIsTheOrderOfIds) {
  std::mt19937_64 random(1);
  std::vector<PointId> ids;
  for (int i = 0; i < 1'000; ++i) {
    ids.emplace_back(random() >> (random() % 64));
    std::string text(1 + random() % 5, '\0');
    for (char& c : text) c = static_cast<char>(random());
    ids.emplace_back(text);
  }
  std::sort(ids.begin(), ids.end());
  for (size_t i = 1; i < ids.size(); ++i) {
    ASSERT_EQ(ids[i - 1] < ids[i], IdKey(1, ids[i - 1]) < IdKey(1, ids[i])) << i;
  }
  // The variant's order puts the alternative uint64_t first, as the tags do.
  EXPECT_LT(IdKey(1, ~uint64_t{0}), IdKey(1, PointId(std::string(1, '\0'))));
}

TEST(RecordKeysTest, RefusesOtherBytes) {
  uint32_t collection_id = 0;
  CodebookKeyParts codebook;
  IdKeyParts id;
  PointKeyParts point;
  CodeKeyParts code;
  const auto damaged = [](const absl::Status& status) {
    return status.code() == absl::StatusCode::kDataLoss;
  };
  EXPECT_TRUE(damaged(ParseCatalogKey("catalog/123", &collection_id)));
  EXPECT_TRUE(damaged(ParseCatalogKey("catalog/12345", &collection_id)));
  EXPECT_TRUE(damaged(ParseCatalogKey("counter/1234", &collection_id)));
  EXPECT_TRUE(damaged(ParseCatalogKey("", &collection_id)));
  for (size_t size : {0, 1, 7, 9, 15, 17}) {
    const std::string key(size, 'x');
    EXPECT_TRUE(damaged(ParseCodebookKey(key, &codebook))) << size;
    EXPECT_TRUE(damaged(ParsePointKey(key, &point))) << size;
    EXPECT_TRUE(damaged(ParseCodeKey(key, &code))) << size;
  }
  const std::string number = IdKey(1, uint64_t{5});
  for (size_t size = 0; size < number.size(); ++size) {
    EXPECT_TRUE(damaged(ParseIdKey(number.substr(0, size), &id))) << size;
  }
  EXPECT_TRUE(damaged(ParseIdKey(number + "x", &id)));
  EXPECT_TRUE(damaged(ParseIdKey(std::string("\0\0\0\1\1", 5), &id)));     // empty string id
  EXPECT_TRUE(damaged(ParseIdKey(std::string("\0\0\0\1\2abc", 8), &id)));  // unknown tag
  EXPECT_TRUE(damaged(ParseIdKey(IdKey(1, PointId(std::string(257, 'x'))), &id)));
}

TEST(RecordKeysTest, RangesHoldExactlyTheirKeys) {
  const auto holds = [](const KeyRange& range, const std::string& key) {
    return range.begin <= key && key < range.end;
  };
  const KeyRange collection = CollectionRange(0x01FF);
  EXPECT_TRUE(holds(collection, PointKey(0x01FF, 0)));
  EXPECT_TRUE(holds(collection, PointKey(0x01FF, 0xFFFFFFFF)));
  EXPECT_TRUE(holds(collection, IdKey(0x01FF, PointId(std::string(256, '\xFF')))));
  EXPECT_FALSE(holds(collection, PointKey(0x0200, 0)));
  EXPECT_FALSE(holds(collection, PointKey(0x01FE, 0xFFFFFFFF)));
  EXPECT_EQ(Hex(collection.end), "000002");
  EXPECT_TRUE(holds(CollectionRange(kCollectionIdMax), CodeKey(kCollectionIdMax, 1, 2, 3)));
  EXPECT_FALSE(holds(CollectionRange(kCollectionIdMax), PointKey(0xFFFFFFFF, 0)));

  const KeyRange codes = CodesRange(3, 0xFFFFFFFF);
  EXPECT_TRUE(holds(codes, CodeKey(3, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)));
  EXPECT_FALSE(holds(codes, CodeKey(3, 0xFFFFFFFE, 0, 0)));
  EXPECT_FALSE(holds(codes, CodeKey(4, 0, 0, 0)));
  EXPECT_TRUE(holds(CodesRange(3, 5), CodeKey(3, 5, 0, 0)));
  EXPECT_FALSE(holds(CodesRange(3, 5), CodeKey(3, 6, 0, 0)));

  const KeyRange codebook = CodebookRange(3, 5);
  EXPECT_TRUE(holds(codebook, CodebookKey(3, 5)));
  EXPECT_TRUE(holds(codebook, CentroidKey(3, 5, 0)));
  EXPECT_TRUE(holds(codebook, CentroidKey(3, 5, 0xFFFFFFFF)));
  EXPECT_FALSE(holds(codebook, CodebookKey(3, 6)));
  EXPECT_FALSE(holds(codebook, CentroidKey(3, 4, 0xFFFFFFFF)));
  EXPECT_LT(CodebookKey(3, 5), CentroidKey(3, 5, 0));

  EXPECT_TRUE(holds(CatalogRange(), CatalogKey(0)));
  EXPECT_TRUE(holds(CatalogRange(), CatalogKey(0xFFFFFFFF)));
  EXPECT_FALSE(holds(CatalogRange(), CounterKey(0)));
  EXPECT_FALSE(holds(CatalogRange(), FormatKey()));
}

TEST(RecordKeysTest, DescribesIds) {
  EXPECT_EQ(DescribePointId(uint64_t{42}), "42");
  EXPECT_EQ(DescribePointId(std::string_view("a\"b\n")), "\"a\\\"b\\n\"");
}

}  // namespace
}  // namespace tessera
