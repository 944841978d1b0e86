// What writes after training do to answers: new points are found, old vectors and deleted points
// never again.
#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "client/cpp/error_details.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

constexpr size_t kTrainedRows = 4'000;

// Each test has a trained collection of its own on a shared server.
class WritesTest : public testing::TestWithParam<v1::VectorPlacement> {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder();
    auto server = ServerProcess::Start({.data_dir = folder_->path()});
    ASSERT_OK(server.status());
    server_ = server->release();
  }

  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
    server_ = nullptr;
    folder_ = nullptr;
  }

  void SetUp() override {
    ASSERT_NE(server_, nullptr);
    name_ = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name_.begin(), name_.end(), '/', '-');
    ASSERT_OK(CreateWordNet(client(), name_, GetParam()));
    ASSERT_OK(LoadWordNet(client(), name_, 0, kTrainedRows));
    ASSERT_OK(TrainAndWait(client(), name_).status());
  }

  static Client& client() { return server_->client(); }

  // The ids of the nearest of row `row` of WordNet.
  absl::StatusOr<std::vector<std::string>> Nearest(size_t row, uint32_t limit, bool exact) {
    v1::SearchRequest request = MakeSearch(name_, GetWordNet().Floats(row), limit);
    request.mutable_params()->set_exact(exact);
    ASSIGN_OR_RETURN(const v1::SearchResponse response, client().Search(request));
    return HitIds(response)[0];
  }

  absl::Status Put(uint64_t id, size_t row) {
    return client()
        .Upsert(MakeUpsert(name_, MakePointId(id), GetWordNet().Floats(row),
                           GetWordNet().payloads[row]))
        .status();
  }

  static TempFolder* folder_;
  static ServerProcess* server_;
  std::string name_;
};

TempFolder* WritesTest::folder_ = nullptr;
ServerProcess* WritesTest::server_ = nullptr;

TEST_P(WritesTest, PointsWrittenAfterTrainingAreFoundAtOnce) {
  for (size_t row = kTrainedRows; row < kTrainedRows + 200; ++row) {
    ASSERT_OK(Put(row, row));
    for (const bool exact : {false, true}) {
      ASSERT_OK_AND_ASSIGN(const auto ids, Nearest(row, 3, exact));
      EXPECT_EQ(std::count(ids.begin(), ids.end(), absl::StrCat(row)), 1) << row;
    }
  }
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints(name_));
  EXPECT_EQ(count, kTrainedRows + 200);
  ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().GetCollection(name_));
  EXPECT_EQ(collection.codebook_version(), 1u);
}

TEST_P(WritesTest, UpsertOfAKnownIdReplacesThePoint) {
  for (uint64_t id = 0; id < 200; ++id) {
    const size_t new_row = kTrainedRows + id;
    ASSERT_OK(Put(id, new_row));
    for (const bool exact : {false, true}) {
      ASSERT_OK_AND_ASSIGN(const auto found, Nearest(new_row, 3, exact));
      EXPECT_EQ(std::count(found.begin(), found.end(), absl::StrCat(id)), 1) << id;
      // Whatever answers to the old vector, it does not do so with the old vector's score.
      v1::SearchRequest request = MakeSearch(name_, GetWordNet().Floats(id), 50);
      request.mutable_params()->set_exact(exact);
      ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
      std::set<std::string> seen;
      for (const v1::ScoredPoint& hit : response.results(0).hits()) {
        EXPECT_TRUE(seen.insert(IdText(hit.id())).second) << "twice: " << IdText(hit.id());
        if (hit.id().num() == id) {
          EXPECT_LT(hit.score(), 0.999) << id;
        }
      }
    }
  }
  const std::vector<uint64_t> ids = {0, 199};
  ASSERT_OK_AND_ASSIGN(const v1::GetPointsResponse points, client().GetPoints(MakeGet(name_, ids)));
  ASSERT_EQ(points.points_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(points.points(i).vector().data(), GetWordNet().Row(kTrainedRows + ids[i]));
    EXPECT_EQ(points.points(i).payload(), GetWordNet().payloads[kTrainedRows + ids[i]]);
  }
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints(name_));
  EXPECT_EQ(count, kTrainedRows);
}

TEST_P(WritesTest, DeletedPointsNeverComeBack) {
  std::vector<uint64_t> ids;
  for (uint64_t id = 0; id < kTrainedRows; id += 7) ids.push_back(id);
  ASSERT_OK_AND_ASSIGN(const v1::DeletePointsResponse deleted,
                       client().DeletePoints(MakeDelete(name_, ids)));
  EXPECT_EQ(deleted.points(), ids.size());
  for (const char* mode : {"default", "exact", "codes"}) {
    v1::SearchRequest request = MakeSearch(name_, GetWordNet().queries, 100);
    request.mutable_params()->set_exact(mode == std::string("exact"));
    request.mutable_params()->set_no_rerank(mode == std::string("codes"));
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
    for (const v1::SearchResult& result : response.results()) {
      for (const v1::ScoredPoint& hit : result.hits()) ASSERT_NE(hit.id().num() % 7, 0u) << mode;
    }
  }
  ASSERT_OK_AND_ASSIGN(const v1::GetPointsResponse got, client().GetPoints(MakeGet(name_, ids)));
  EXPECT_EQ(got.points_size(), 0);
  ASSERT_OK_AND_ASSIGN(const auto scrolled, ScrollAll(client(), name_, 1'000, false));
  EXPECT_EQ(scrolled.size(), kTrainedRows - ids.size());
  EXPECT_FALSE(scrolled.contains("0"));
  ASSERT_OK_AND_ASSIGN(const v1::DeletePointsResponse again,
                       client().DeletePoints(MakeDelete(name_, ids)));
  EXPECT_EQ(again.points(), 0u);

  ASSERT_OK(Put(0, 0));
  ASSERT_OK_AND_ASSIGN(const auto found, Nearest(0, 3, false));
  EXPECT_EQ(std::count(found.begin(), found.end(), "0"), 1);
}

TEST_P(WritesTest, TrainingAgainLeavesOutWhatIsDeleted) {
  std::vector<uint64_t> ids;
  for (uint64_t id = 0; id < kTrainedRows; id += 2) ids.push_back(id);
  ASSERT_OK(client().DeletePoints(MakeDelete(name_, ids)).status());
  ASSERT_OK(TrainAndWait(client(), name_).status());
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response,
                       client().Search(MakeSearch(name_, GetWordNet().queries, 50)));
  for (const v1::SearchResult& result : response.results()) {
    for (const v1::ScoredPoint& hit : result.hits()) ASSERT_EQ(hit.id().num() % 2, 1u);
  }
  ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().GetCollection(name_));
  EXPECT_EQ(collection.points(), kTrainedRows / 2);
  EXPECT_EQ(collection.codebook_version(), 2u);
}

TEST_P(WritesTest, NumbersAndStringsAreDifferentIds) {
  const auto number = MakePointId(uint64_t{7});
  const auto text = MakePointId("7");
  const size_t row = kTrainedRows + 1;
  ASSERT_OK(client().Upsert(MakeUpsert(name_, text, GetWordNet().Floats(row), "{}")).status());
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints(name_));
  EXPECT_EQ(count, kTrainedRows + 1);
  ASSERT_OK_AND_ASSIGN(const auto found, Nearest(row, 1, false));
  EXPECT_EQ(found, std::vector<std::string>{"\"7\""});
  ASSERT_OK_AND_ASSIGN(const auto old, Nearest(7, 1, false));
  EXPECT_EQ(old, std::vector<std::string>{"7"});

  ASSERT_OK_AND_ASSIGN(const auto scrolled, ScrollAll(client(), name_, 999, false));
  EXPECT_TRUE(scrolled.contains("7"));
  EXPECT_TRUE(scrolled.contains("\"7\""));

  v1::SearchRequest by_id;
  by_id.set_collection_name(name_);
  by_id.mutable_ids()->add_str("7");
  by_id.set_limit(kTrainedRows);
  by_id.mutable_params()->set_exact(true);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(by_id));
  const auto ids = HitIds(response)[0];
  EXPECT_EQ(std::count(ids.begin(), ids.end(), "\"7\""), 0);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), "7"), 1);

  ASSERT_OK(client().DeletePoints(MakeDelete(name_, std::vector<uint64_t>{7})).status());
  ASSERT_OK_AND_ASSIGN(const auto still, Nearest(row, 1, false));
  EXPECT_EQ(still, std::vector<std::string>{"\"7\""});
}

TEST_P(WritesTest, AStreamEndsWithTheFirstChunkThatIsRefused) {
  auto upserter = client().StartBulkUpsert({.collection_name = name_, .chunks_in_flight_max = 1});
  absl::Status status;
  for (uint64_t chunk = 0; chunk < 5 && status.ok(); ++chunk) {
    const auto vector = GetWordNet().Floats(chunk);
    // The third chunk lacks a component.
    const auto sent = chunk == 2 ? vector.subspan(1) : vector;
    status = upserter->Write(MakeUpsert("", MakePointId(100'000 + chunk), sent));
  }
  if (status.ok()) status = upserter->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  const ErrorDetails details = GetErrorDetails(status);
  ASSERT_EQ(details.field_violations.size(), 1u);
  EXPECT_EQ(details.field_violations[0].field, "vectors.data");
  EXPECT_EQ(upserter->acknowledged_chunks(), 2u);
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints(name_));
  EXPECT_EQ(count, kTrainedRows + 2);
}

TEST_P(WritesTest, ADeletedCollectionIsGone) {
  ASSERT_OK(client().DeleteCollection(name_));
  EXPECT_TRUE(absl::IsNotFound(client().GetCollection(name_).status()));
  EXPECT_TRUE(absl::IsNotFound(client().CountPoints(name_).status()));
  EXPECT_TRUE(absl::IsNotFound(Nearest(0, 1, false).status()));
  EXPECT_TRUE(absl::IsNotFound(Put(0, 0)));
  EXPECT_TRUE(absl::IsNotFound(client().DeleteCollection(name_)));
  // A new one of the same name has nothing of the old one.
  ASSERT_OK(CreateWordNet(client(), name_, GetParam()));
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints(name_));
  EXPECT_EQ(count, 0u);
  ASSERT_OK_AND_ASSIGN(const auto ids, Nearest(0, 1, false));
  EXPECT_TRUE(ids.empty());
}

INSTANTIATE_TEST_SUITE_P(Placements, WritesTest,
                         testing::Values(v1::MEMORY, v1::DISK, v1::DISK_SQ8),
                         [](const auto& info) { return v1::VectorPlacement_Name(info.param); });

}  // namespace
}  // namespace tessera
