// Payload indexes of a real server: made while points are written and searched, killed meanwhile.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"

namespace tessera {
namespace {

constexpr uint64_t kPoints = 60'000;
constexpr uint64_t kBatch = 10'000;
constexpr char kName[] = "things";

struct Field {
  const char* key;
  v1::PayloadIndexType type;
};
constexpr Field kFields[] = {{"color", v1::KEYWORD},
                             {"size", v1::INTEGER},
                             {"weight", v1::FLOAT},
                             {"at", v1::DATETIME},
                             {"old", v1::BOOL}};

std::string Payload(uint64_t n) {
  return absl::StrCat(R"({"color":"c)", n % 7, R"(","size":)", n % 1'000, R"(,"weight":)", n % 50,
                      R"(.5,"at":"2024-01-0)", 1 + n % 9, R"(T00:00:00Z","old":)",
                      n % 3 == 0 ? "true" : "false", "}");
}

// A condition on each field, and how many of the points with payloads 0 to n - 1 meet it.
std::vector<std::pair<v1::Filter, uint64_t>> Filters(uint64_t n) {
  std::vector<std::pair<v1::Filter, uint64_t>> filters(std::size(kFields));
  std::vector<v1::Condition*> tests;
  for (size_t i = 0; i < filters.size(); ++i) {
    tests.push_back(filters[i].first.add_must());
    tests[i]->set_key(kFields[i].key);
  }
  tests[0]->mutable_match()->set_keyword("c3");
  tests[1]->mutable_range()->set_lt(10);
  tests[2]->mutable_range()->set_gte(40);
  tests[3]->mutable_datetime_range()->set_gt("2024-01-07T12:00:00+01:00");
  tests[4]->mutable_match()->set_boolean(true);
  for (uint64_t i = 0; i < n; ++i) {
    const bool holds[] = {i % 7 == 3, i % 1'000 < 10, i % 50 >= 40, i % 9 >= 7, i % 3 == 0};
    for (size_t j = 0; j < filters.size(); ++j) filters[j].second += holds[j];
  }
  return filters;
}

class PayloadIndexesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Start());
    v1::CreateCollectionRequest request;
    request.set_collection_name(kName);
    request.set_dimension(2);
    request.set_metric(v1::L2);
    ASSERT_OK(client().CreateCollection(request).status());
    for (uint64_t begin = 0; begin < kPoints; begin += kBatch) {
      ASSERT_OK(Upsert(client(), begin, kBatch));
    }
  }
  void Start() {
    ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = folder_.path()}));
  }
  Client& client() { return server_->client(); }

  static absl::Status Upsert(Client& client, uint64_t begin, uint64_t count) {
    v1::UpsertRequest request;
    request.set_collection_name(kName);
    std::vector<float> vectors;
    for (uint64_t n = begin; n < begin + count; ++n) {
      request.mutable_ids()->add_num(n);
      request.add_payloads(Payload(n));
      vectors.push_back(static_cast<float>(n % 100));
      vectors.push_back(static_cast<float>(n / 100));
    }
    *request.mutable_vectors() = MakeVectors(vectors);
    return client.Upsert(request).status();
  }
  void CreateIndexes() {
    for (const Field& field : kFields) {
      v1::CreatePayloadIndexRequest request;
      request.set_collection_name(kName);
      request.set_key(field.key);
      request.set_type(field.type);
      ASSERT_OK(client().CreatePayloadIndex(request).status());
    }
  }
  void DropIndexes() {
    for (const Field& field : kFields) {
      ASSERT_OK(client().DropPayloadIndex(kName, field.key));
    }
  }
  bool AllReady() {
    const auto collection = client().GetCollection(kName);
    EXPECT_TRUE(collection.ok()) << collection.status();
    if (!collection.ok()) return true;
    EXPECT_EQ(collection->payload_indexes_size(), static_cast<int>(std::size(kFields)));
    for (const v1::PayloadIndex& index : collection->payload_indexes()) {
      if (!index.ready()) return false;
    }
    return true;
  }
  // Counts and searches by each filter, which must say whether they needed payloads.
  void ExpectAnswers(bool indexed) {
    for (const auto& [filter, matching] : Filters(kPoints)) {
      v1::CountRequest count;
      count.set_collection_name(kName);
      *count.mutable_filter() = filter;
      ASSERT_OK_AND_ASSIGN(const v1::CountResponse counted, client().CountPoints(count));
      EXPECT_EQ(counted.points(), matching) << filter.DebugString();
      v1::SearchRequest search = MakeSearch(kName, std::vector<float>{3, 4}, 10);
      *search.mutable_filter() = filter;
      search.set_explain(true);
      ASSERT_OK_AND_ASSIGN(const v1::SearchResponse found, client().Search(search));
      EXPECT_EQ(found.results(0).hits_size(), 10);
      EXPECT_EQ(found.explanation().points_matching(), matching);
      EXPECT_EQ(found.explanation().unindexed_size(), indexed ? 0 : 1) << filter.DebugString();
      EXPECT_EQ(found.explanation().payloads_read(), indexed ? 0 : kPoints);
    }
  }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(PayloadIndexesTest, AreMadeWhilePointsAreWrittenAndSearched) {
  ExpectAnswers(/*indexed=*/false);
  const auto [filter, matching] = Filters(kPoints)[0];
  uint64_t writes = 0;
  bool seen_building = false;
  // A busy machine may let the server run to the end before it lets the test look.
  for (int round = 0; round < 5 && !seen_building; ++round) {
    if (round > 0) {
      ASSERT_NO_FATAL_FAILURE(DropIndexes());
    }
    ASSERT_NO_FATAL_FAILURE(CreateIndexes());
    for (bool ready = false; !ready;) {
      ready = AllReady();
      seen_building |= !ready;
      // The same again: what matches stays the same while slots change.
      ASSERT_OK(Upsert(client(), 997 * writes++ % (kPoints - 50), 50));
      v1::CountRequest count;
      count.set_collection_name(kName);
      *count.mutable_filter() = filter;
      ASSERT_OK_AND_ASSIGN(const v1::CountResponse counted, client().CountPoints(count));
      ASSERT_EQ(counted.points(), matching);
    }
  }
  EXPECT_TRUE(seen_building) << "too few points to see it";
  ExpectAnswers(/*indexed=*/true);
}

TEST_F(PayloadIndexesTest, SurviveAKillInTheMiddle) {
  for (const int wait_ms : {0, 5, 20, 60}) {
    ASSERT_NO_FATAL_FAILURE(CreateIndexes());
    absl::SleepFor(absl::Milliseconds(wait_ms));
    server_->Kill();
    ASSERT_NO_FATAL_FAILURE(Start());
    EXPECT_TRUE(AllReady()) << "what was promised is there after the restart";
    ExpectAnswers(/*indexed=*/true);
    ASSERT_NO_FATAL_FAILURE(DropIndexes());
    server_->Kill();
    ASSERT_NO_FATAL_FAILURE(Start());
    ExpectAnswers(/*indexed=*/false);
  }
}

}  // namespace
}  // namespace tessera
