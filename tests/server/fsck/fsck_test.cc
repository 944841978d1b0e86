// A check of a whole store is clean, and finds each kind of damage that is planted.
#include "server/fsck/fsck.h"

#include <fstream>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/engine/records.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kCollection = 1;  // the id of the first one
constexpr uint32_t kCodebook = 1;
constexpr uint64_t kPoints = 400;

class FsckTest : public EngineFixture {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    Create("a", 8);
    ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(kPoints, 8, 1), R"({"k":1})").ok());
    Train("a", 4);
    Create("empty", 4);
    ASSERT_TRUE(engine_->Close().ok());
    engine_.reset();
  }

  FsckReport Check() {
    const auto report = CheckDataDirectory(directory_, nullptr);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(FsckReport());
  }

  void Plant(const std::function<void(Store&, StoreBatch&)>& damage) {
    auto store = OpenRocksDbStore({.path = directory_ + "/store"});
    ASSERT_TRUE(store.ok()) << store.status();
    auto batch = (*store)->NewBatch();
    damage(**store, *batch);
    ASSERT_TRUE((*store)->Commit(*batch, Durability::kSync).ok());
    ASSERT_TRUE((*store)->Close().ok());
  }

  // The finding that says `what`, of the damage that is planted.
  void ExpectFound(const std::string& what,
                   const std::function<void(Store&, StoreBatch&)>& damage) {
    Plant(damage);
    const FsckReport report = Check();
    EXPECT_FALSE(report.ok());
    std::string all;
    for (const FsckFinding& finding : report.findings) {
      absl::StrAppend(&all, finding.where, ": ", finding.what, "\n");
    }
    EXPECT_TRUE(absl::StrContains(all, what)) << all;
  }

  static std::string Read(Store& store, Family family, const std::string& key) {
    const auto value = store.Get(family, key);
    EXPECT_TRUE(value.ok() && value->has_value());
    return value->value_or("");
  }
  static std::string Flipped(std::string value) {
    value[value.size() / 2] = static_cast<char>(value[value.size() / 2] ^ 1);
    return value;
  }
  // The key of the code of a slot.
  static std::string CodeKeyOf(Store& store, Slot slot) {
    const KeyRange range = CodesRange(kCollection, kCodebook);
    auto it = store.Scan(Family::kCodes, range.begin, range.end, false);
    for (; it->Valid(); it->Next()) {
      CodeKeyParts parts;
      EXPECT_TRUE(ParseCodeKey(it->key(), &parts).ok());
      if (parts.slot == slot) return std::string(it->key());
    }
    ADD_FAILURE() << "slot " << slot << " has no code";
    return "";
  }
};

TEST_F(FsckTest, WholeStoreIsClean) {
  const FsckReport report = Check();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.collections, 2u);
  EXPECT_EQ(report.points, kPoints);
  EXPECT_EQ(report.leftover_records, 0u);
  // Point, id and code of each; format, next id, two catalogs and counters; a codebook, its
  // version and calibration.
  EXPECT_EQ(report.records, 3 * kPoints + 2 + 2 * 2 + 3);
}

TEST_F(FsckTest, FindsADamagedPoint) {
  ExpectFound("point record", [](Store& store, StoreBatch& batch) {
    const std::string key = PointKey(kCollection, 7);
    batch.Put(Family::kPoints, key, Flipped(Read(store, Family::kPoints, key)));
  });
}

TEST_F(FsckTest, FindsDamagedSettings) {
  Plant([](Store&, StoreBatch& batch) {
    std::string value;
    EncodeSettings(SettingsKey(kCollection), {.revision = 1, .metadata = "{}"}, &value);
    batch.Put(Family::kMeta, SettingsKey(kCollection), value);
  });
  EXPECT_TRUE(Check().ok());
  ExpectFound("settings record", [](Store& store, StoreBatch& batch) {
    const std::string key = SettingsKey(kCollection);
    batch.Put(Family::kMeta, key, Flipped(Read(store, Family::kMeta, key)));
  });
}

TEST_F(FsckTest, FindsAPointThatIsGone) {
  ExpectFound("id 7 leads to slot 7, which has no point", [](Store&, StoreBatch& batch) {
    batch.Delete(Family::kPoints, PointKey(kCollection, 7));
  });
}

TEST_F(FsckTest, FindsAVectorOfAnotherSize) {
  ExpectFound("the vector has 4 bytes instead of 32", [](Store&, StoreBatch& batch) {
    const std::string key = PointKey(kCollection, 7);
    std::string value;
    EncodePoint(key, {.id = uint64_t{7}, .vector = "abcd"}, &value);
    batch.Put(Family::kPoints, key, value);
  });
}

TEST_F(FsckTest, FindsAVectorThatIsNoNumber) {
  ExpectFound("is no number", [](Store&, StoreBatch& batch) {
    const std::string key = PointKey(kCollection, 7);
    std::string value;
    EncodePoint(key, {.id = uint64_t{7}, .vector = std::string(32, '\xFF')}, &value);
    batch.Put(Family::kPoints, key, value);
  });
}

TEST_F(FsckTest, FindsAPayloadThatIsNoObject) {
  ExpectFound("the payload:", [](Store&, StoreBatch& batch) {
    const std::string key = PointKey(kCollection, 7);
    std::string value;
    EncodePoint(key, {.id = uint64_t{7}, .vector = std::string(32, '\0'), .payload = "{"}, &value);
    batch.Put(Family::kPoints, key, value);
  });
}

TEST_F(FsckTest, FindsAnIdThatIsGone) {
  ExpectFound("no id leads to the point in slot 7", [](Store&, StoreBatch& batch) {
    batch.Delete(Family::kIds, IdKey(kCollection, uint64_t{7}));
  });
}

TEST_F(FsckTest, FindsAnIdThatLeadsToAnotherPoint) {
  ExpectFound("id 7 leads to slot 8, which has the point of another id",
              [](Store&, StoreBatch& batch) {
                const std::string key = IdKey(kCollection, uint64_t{7});
                std::string value;
                EncodeSlot(key, 8, &value);
                batch.Put(Family::kIds, key, value);
              });
}

TEST_F(FsckTest, FindsACodeThatIsGone) {
  ExpectFound("the point in slot 7 has no code", [](Store& store, StoreBatch& batch) {
    batch.Delete(Family::kCodes, CodeKeyOf(store, 7));
  });
}

TEST_F(FsckTest, FindsACodeThatIsThereTwice) {
  ExpectFound("is there twice", [](Store& store, StoreBatch& batch) {
    const std::string key = CodeKeyOf(store, 7);
    CodeKeyParts parts;
    CodeRecordView record;
    ASSERT_TRUE(ParseCodeKey(key, &parts).ok());
    const std::string value = Read(store, Family::kCodes, key);
    ASSERT_TRUE(DecodeCode(key, value, &record).ok());
    parts.list = (parts.list + 1) % 4;
    std::string other_key;
    std::string other;
    AppendCodeKey(parts, &other_key);
    EncodeCode(other_key, record, &other);
    batch.Put(Family::kCodes, other_key, other);
  });
}

TEST_F(FsckTest, FindsACodeOfNoList) {
  ExpectFound("does not fit codebook 1", [](Store&, StoreBatch& batch) {
    const std::string key = CodeKey(kCollection, kCodebook, 1'000, 7);
    std::string value;
    EncodeCode(key, {.id = uint64_t{7}, .code = "x"}, &value);
    batch.Put(Family::kCodes, key, value);
  });
}

TEST_F(FsckTest, CodesOfEveryMetricAndElementTypeStandForTheirVectors) {
  Open();
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    for (const ElementType type : {ElementType::kFloat32, ElementType::kFloat16}) {
      const std::string name = absl::StrCat("m", static_cast<int>(metric), static_cast<int>(type));
      Create(name, 8, metric, type);
      ASSERT_TRUE(UpsertRows(name, 0, ClusteredRows(kPoints, 8, 2)).ok());
      Train(name, 4);
    }
  }
  ASSERT_TRUE(engine_->Close().ok());
  engine_.reset();
  const FsckReport report = Check();
  EXPECT_EQ(report.collections, 8u);
  EXPECT_TRUE(report.ok()) << report.findings[0].what;
}

// Codes that fit a codebook in all they are, but were made with another.
TEST_F(FsckTest, FindsACodeOfAnotherCodebook) {
  ExpectFound("does not stand for its vector", [](Store& store, StoreBatch& batch) {
    const std::string key = CodeKeyOf(store, 7);
    const std::string value = Read(store, Family::kCodes, key);
    CodeRecordView record;
    ASSERT_TRUE(DecodeCode(key, value, &record).ok());
    std::string code(record.code);
    for (char& byte : code) byte = static_cast<char>(byte ^ 0x55);
    record.code = code;
    std::string other;
    EncodeCode(key, record, &other);
    batch.Put(Family::kCodes, key, other);
  });
}

TEST_F(FsckTest, FindsCodesOfAListWhoseCentroidIsAnother) {
  ExpectFound("does not stand for its vector", [](Store&, StoreBatch& batch) {
    const std::string key = CentroidKey(kCollection, kCodebook, 0);
    std::string value;
    const std::vector<float> centroid(8, 50);
    EncodeCentroid(key, {reinterpret_cast<const char*>(centroid.data()), 32}, &value);
    batch.Put(Family::kCodebooks, key, value);
  });
}

TEST_F(FsckTest, FindsADamagedAndAMissingCodebook) {
  ExpectFound("codebook record", [](Store& store, StoreBatch& batch) {
    const std::string key = CodebookKey(kCollection, kCodebook);
    batch.Put(Family::kCodebooks, key, Flipped(Read(store, Family::kCodebooks, key)));
  });
  ExpectFound("codebook 1, which the catalog names, is missing or damaged",
              [](Store&, StoreBatch& batch) {
                batch.Delete(Family::kCodebooks, CodebookKey(kCollection, kCodebook));
              });
}

TEST_F(FsckTest, FindsCountersThatAreGoneOrTooLow) {
  ExpectFound("the slot was never given", [](Store&, StoreBatch& batch) {
    const std::string key = CounterKey(kCollection);
    std::string value;
    EncodeCounter(key, {.sequence = 1, .next_slot = 7}, &value);
    batch.Put(Family::kMeta, key, value);
  });
  ExpectFound("its counters are missing", [](Store&, StoreBatch& batch) {
    batch.Delete(Family::kMeta, CounterKey(kCollection));
  });
}

TEST_F(FsckTest, FindsACodebookWhoseVersionWasNeverGiven) {
  ExpectFound("codebook 1 was never given", [](Store&, StoreBatch& batch) {
    const std::string key = LastCodebookKey(kCollection);
    std::string value;
    EncodeLastCodebook(key, 0, &value);
    batch.Put(Family::kMeta, key, value);
  });
  ExpectFound("last codebook record", [](Store& store, StoreBatch& batch) {
    const std::string key = LastCodebookKey(kCollection);
    batch.Put(Family::kMeta, key, Flipped(Read(store, Family::kMeta, key)));
  });
  // A store of before store format 2 has none.
  Plant(
      [](Store&, StoreBatch& batch) { batch.Delete(Family::kMeta, LastCodebookKey(kCollection)); });
  EXPECT_TRUE(Check().ok());
}

TEST_F(FsckTest, FindsADamagedCalibration) {
  ExpectFound("calibration record", [](Store& store, StoreBatch& batch) {
    const std::string key = CalibrationKey(kCollection, 1);
    batch.Put(Family::kMeta, key, Flipped(Read(store, Family::kMeta, key)));
  });
  ExpectFound("recall surface", [](Store&, StoreBatch& batch) {
    const std::string key = CalibrationKey(kCollection, 1);
    std::string value;
    EncodeCalibration(key, {.surface = "nonsense"}, &value);
    batch.Put(Family::kMeta, key, value);
  });
}

TEST_F(FsckTest, FindsDamageOfTheCatalog) {
  ExpectFound("which was never given", [](Store&, StoreBatch& batch) {
    std::string value;
    EncodeNextCollectionId(NextCollectionIdKey(), 1, &value);
    batch.Put(Family::kMeta, NextCollectionIdKey(), value);
  });
  ExpectFound("a record of an unknown kind",
              [](Store&, StoreBatch& batch) { batch.Put(Family::kMeta, "surprise", "value"); });
  ExpectFound("catalog record", [](Store& store, StoreBatch& batch) {
    const std::string key = CatalogKey(kCollection);
    batch.Put(Family::kMeta, key, Flipped(Read(store, Family::kMeta, key)));
  });
}

TEST_F(FsckTest, LeftoversAreCountedAndNoDamage) {
  Plant([](Store&, StoreBatch& batch) {
    const std::string key = PointKey(77, 7);
    std::string value;
    EncodePoint(key, {.id = uint64_t{7}, .vector = "abcd"}, &value);
    batch.Put(Family::kPoints, key, value);
  });
  const FsckReport report = Check();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.leftover_records, 1u);
}

TEST_F(FsckTest, NamesADamagedTable) {
  for (const auto& entry : fs::directory_iterator(directory_ + "/store")) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(20);
    const int byte = file.get();
    file.seekp(20);
    file.put(static_cast<char>(byte ^ 1));
    file.close();
    const FsckReport report = Check();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(absl::StrContains(report.findings[0].what, entry.path().filename().string()))
        << report.findings[0].what;
    return;
  }
  FAIL() << "the store has no table";
}

TEST_F(FsckTest, StoreThatCannotBeOpenedIsAFinding) {
  for (const auto& entry : fs::directory_iterator(directory_ + "/store")) {
    if (entry.path().extension() == ".sst") fs::remove(entry.path());
  }
  const FsckReport report = Check();
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].where, "the store");
  EXPECT_TRUE(absl::StrContains(report.findings[0].what, ".sst")) << report.findings[0].what;
}

TEST_F(FsckTest, ChangesNothing) {
  std::map<std::string, fs::file_time_type> before;
  for (const auto& entry : fs::directory_iterator(directory_ + "/store")) {
    before[entry.path()] = entry.last_write_time();
  }
  Check();
  for (const auto& entry : fs::directory_iterator(directory_ + "/store")) {
    EXPECT_TRUE(before.contains(entry.path()) && before[entry.path()] == entry.last_write_time())
        << entry.path();
  }
}

// As that of a snapshot, which a new file would damage.
TEST_F(FsckTest, LeavesNoLockInAStoreThatHasNone) {
  const std::string lock = directory_ + "/store/LOCK";
  ASSERT_TRUE(fs::remove(lock));
  EXPECT_TRUE(Check().findings.empty());
  EXPECT_FALSE(fs::exists(lock));
}

TEST_F(FsckTest, RefusesWhatItCannotCheck) {
  EXPECT_TRUE(absl::IsNotFound(CheckDataDirectory(directory_ + "/none", nullptr).status()));
  {
    auto held = OpenRocksDbStore({.path = directory_ + "/store"});
    ASSERT_TRUE(held.ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(CheckDataDirectory(directory_, nullptr).status()));
  }
  Plant([](Store&, StoreBatch& batch) {
    std::string value;
    EncodeFormat(FormatKey(), kStoreFormat + 1, &value);
    batch.Put(Family::kMeta, FormatKey(), value);
  });
  const absl::Status status = CheckDataDirectory(directory_, nullptr).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "format")) << status;
}

}  // namespace
}  // namespace tessera
