#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr int kDimension = 4;

class PointsServiceTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    Create("words", kDimension);
    ASSERT_TRUE(Upsert(Points("words", 1, 10, kDimension)).ok());
  }

  grpc::Status Upsert(const v1::UpsertRequest& request) {
    v1::UpsertResponse response;
    return Call(*points_, &v1::Points::Stub::Upsert, request, &response);
  }
  grpc::Status Search(const v1::SearchRequest& request) {
    v1::SearchResponse response;
    return Call(*points_, &v1::Points::Stub::Search, request, &response);
  }

  static v1::SearchRequest Query(int components, uint32_t limit) {
    v1::SearchRequest request;
    request.set_collection_name("words");
    request.set_limit(limit);
    for (int i = 0; i < components; ++i) request.mutable_vectors()->add_values(1.0f);
    return request;
  }
};

TEST_F(PointsServiceTest, ABatchNamesTheSearchAtFault) {
  v1::SearchBatchRequest batch;
  batch.set_collection_name("words");
  for (int i = 0; i < 40; ++i) *batch.add_searches() = Query(kDimension, 3);
  v1::SearchBatchResponse response;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::SearchBatch, batch, &response).ok());
  ASSERT_EQ(response.responses_size(), 40);
  for (const v1::SearchResponse& one : response.responses()) {
    ASSERT_EQ(one.results_size(), 1);
    EXPECT_EQ(one.results(0).hits_size(), 3);
  }
  batch.mutable_searches(33)->set_limit(0);
  const grpc::Status status = Call(*points_, &v1::Points::Stub::SearchBatch, batch, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("searches[33].limit"), std::string::npos)
      << status.error_message();
}

TEST_F(PointsServiceTest, ABatchHasBoundedHits) {
  ASSERT_TRUE(Upsert(Points("words", 100, 1'000, kDimension)).ok());
  v1::SearchBatchRequest batch;
  for (int i = 0; i < 10; ++i) *batch.add_searches() = Query(100 * kDimension, 1'000);
  v1::SearchBatchResponse response;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::SearchBatch, batch, &response).ok());
  *batch.add_searches() = Query(kDimension, 1);
  const grpc::Status status = Call(*points_, &v1::Points::Stub::SearchBatch, batch, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("searches"), std::string::npos) << status.error_message();
}

TEST_F(PointsServiceTest, ARequestIdMakesARetryHarmless) {
  v1::UpsertRequest upsert = Points("words", 100, 2, kDimension);
  upsert.set_request_id("load-1/0");
  upsert.set_durability(v1::ASYNC);
  v1::UpsertResponse first, second;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Upsert, upsert, &first).ok());
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Upsert, upsert, &second).ok());
  EXPECT_EQ(second.sequence(), first.sequence());
  v1::DeletePointsRequest remove;
  remove.set_collection_name("words");
  remove.mutable_ids()->add_num(100);
  remove.set_request_id("gone");
  for (int i = 0; i < 2; ++i) {
    v1::DeletePointsResponse removed;
    ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Delete, remove, &removed).ok());
    EXPECT_EQ(removed.points(), 1u);
    EXPECT_EQ(removed.sequence(), first.sequence() + 1);
  }
  remove.mutable_ids()->add_num(101);
  v1::DeletePointsResponse removed;
  const grpc::Status other = Call(*points_, &v1::Points::Stub::Delete, remove, &removed);
  EXPECT_EQ(other.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(other.error_message().find("request_id"), std::string::npos) << other.error_message();
}

TEST_F(PointsServiceTest, ARepeatedEditIsToldByItsContent) {
  v1::SetPayloadRequest set;
  set.set_collection_name("words");
  set.mutable_points()->mutable_ids()->add_num(1);
  set.set_payload(R"({"a":1})");
  set.set_durability(v1::ASYNC);
  set.set_request_id("set");
  v1::UpsertResponse first, second;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::SetPayload, set, &first).ok());
  v1::ClearPayloadRequest clear;
  clear.set_collection_name("words");
  *clear.mutable_points() = set.points();
  clear.set_request_id("set");
  EXPECT_EQ(Call(*points_, &v1::Points::Stub::ClearPayload, clear, &second).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(*points_, &v1::Points::Stub::OverwritePayload, set, &second).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  set.set_durability(v1::SYNC);  // how it is to be done is no part of what it is
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::SetPayload, set, &second).ok());
  EXPECT_EQ(second.sequence(), first.sequence());
  set.set_payload(R"({"a":2})");
  EXPECT_EQ(Call(*points_, &v1::Points::Stub::SetPayload, set, &second).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(PointsServiceTest, BadWriteOptionsAreRefused) {
  v1::UpsertRequest upsert = Points("words", 100, 2, kDimension);
  upsert.set_durability(static_cast<v1::Durability>(9));
  const grpc::Status durability = Upsert(upsert);
  EXPECT_EQ(durability.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(durability.error_message().find("durability"), std::string::npos);
  v1::DeleteByFilterRequest by_filter;
  by_filter.set_collection_name("words");
  by_filter.mutable_filter()->add_must()->mutable_has_id()->add_num(1);
  by_filter.set_durability(static_cast<v1::Durability>(9));
  v1::DeletePointsResponse deleted;
  const grpc::Status filtered =
      Call(*points_, &v1::Points::Stub::DeleteByFilter, by_filter, &deleted);
  EXPECT_NE(filtered.error_message().find("durability"), std::string::npos);
  upsert.set_durability(v1::SYNC);
  upsert.set_request_id(std::string(65, 'x'));
  const grpc::Status request_id = Upsert(upsert);
  EXPECT_EQ(request_id.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(request_id.error_message().find("request_id"), std::string::npos);
}

TEST_F(PointsServiceTest, ScrollsInTheOrderOfAField) {
  v1::UpsertRequest upsert = Points("words", 100, 4, kDimension);
  for (const char* payload : {R"({"n":3})", R"({"n":[9,1]})", "", R"({"n":3})"}) {
    upsert.add_payloads(payload);
  }
  ASSERT_TRUE(Upsert(upsert).ok());
  v1::ScrollRequest scroll;
  scroll.set_collection_name("words");
  scroll.set_page_size(2);
  scroll.mutable_order_by()->set_key("n");
  v1::ScrollResponse page;
  const auto call = [&] { return Call(*points_, &v1::Points::Stub::Scroll, scroll, &page); };
  const CallError missing(call());
  EXPECT_EQ(missing.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(missing.reason, "PAYLOAD_INDEX_MISSING");
  ASSERT_TRUE(
      Await(engine_->CreatePayloadIndex("words", {FieldPath("n"), PayloadIndexType::kInteger}))
          .ok());
  const auto pages = [&] {
    std::vector<uint64_t> ids;
    scroll.clear_page_token();
    do {
      const grpc::Status status = call();
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const v1::Point& point : page.points()) ids.push_back(point.id().num());
      scroll.set_page_token(page.next_page_token());
    } while (!scroll.page_token().empty());
    return ids;
  };
  EXPECT_EQ(pages(), (std::vector<uint64_t>{101, 100, 103}));
  scroll.mutable_order_by()->set_direction(v1::DESCENDING);
  EXPECT_EQ(pages(), (std::vector<uint64_t>{101, 100, 103}));
  scroll.mutable_order_by()->mutable_start_from()->set_integer(5);
  EXPECT_EQ(pages(), (std::vector<uint64_t>{100, 103}));

  const auto refused = [&](auto change) {
    const v1::ScrollRequest good = scroll;
    change(scroll);
    const CallError error(call());
    scroll = good;
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT);
    return error.field;
  };
  EXPECT_EQ(refused([](auto& s) { s.mutable_order_by()->mutable_start_from()->Clear(); }),
            "order_by.start_from");
  EXPECT_EQ(refused([](auto& s) { s.mutable_order_by()->mutable_start_from()->set_text("x"); }),
            "order_by.start_from");
  EXPECT_EQ(refused([](auto& s) { s.mutable_order_by()->set_key(""); }), "order_by.key");
  EXPECT_EQ(
      refused([](auto& s) { s.mutable_order_by()->set_direction(static_cast<v1::Direction>(9)); }),
      "order_by.direction");
  EXPECT_EQ(refused([](auto& s) {
              s.set_page_token(std::string(limits::kOrderedPageTokenBytesMax + 1, 'A'));
            }),
            "page_token");
}

TEST_F(PointsServiceTest, CountsExactlyUnlessAskedNotTo) {
  v1::UpsertRequest upsert = Points("words", 100, 2'000, kDimension);
  for (int i = 0; i < 2'000; ++i) upsert.add_payloads(i % 2 == 0 ? R"({"even":true})" : "");
  ASSERT_TRUE(Upsert(upsert).ok());
  v1::CountRequest request;
  request.set_collection_name("words");
  v1::Condition& condition = *request.mutable_filter()->add_must();
  condition.set_key("even");
  condition.set_exists(true);
  v1::CountResponse count;
  request.set_exact(false);
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Count, request, &count).ok());
  EXPECT_FALSE(count.exact());
  EXPECT_EQ(count.points_min(), 0u);
  EXPECT_GE(count.points_max(), 2'000u);
  EXPECT_NEAR(static_cast<double>(count.points()), 1'000, 100);
  for (const bool stated : {false, true}) {
    request.clear_exact();
    if (stated) request.set_exact(true);
    ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Count, request, &count).ok());
    EXPECT_TRUE(count.exact());
    EXPECT_EQ(count.points(), 1'000u);
    EXPECT_EQ(count.points_min(), 1'000u);
    EXPECT_EQ(count.points_max(), 1'000u);
  }
}

TEST_F(PointsServiceTest, WritesAndFindsAgain) {
  v1::UpsertRequest upsert = Points("words", 100, 2, kDimension);
  upsert.add_payloads(R"({"word":"vector"})");
  upsert.add_payloads("");
  v1::UpsertResponse written;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Upsert, upsert, &written).ok());
  EXPECT_EQ(written.points(), 2u);
  EXPECT_GT(written.sequence(), 1u);

  v1::SearchRequest search;
  search.set_collection_name("words");
  search.set_limit(3);
  search.mutable_with_payload()->set_enable(true);
  search.set_with_vectors(true);
  search.mutable_vectors()->set_data(upsert.vectors().values().data(), kDimension * sizeof(float));
  v1::SearchResponse found;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Search, search, &found).ok());
  ASSERT_EQ(found.results_size(), 1);
  ASSERT_EQ(found.results(0).hits_size(), 3);
  const v1::ScoredPoint& nearest = found.results(0).hits(0);
  EXPECT_EQ(nearest.id().num(), 100u);
  EXPECT_EQ(nearest.score(), 0.0f);
  EXPECT_TRUE(nearest.score_is_exact());
  EXPECT_EQ(nearest.payload(), R"({"word":"vector"})");
  EXPECT_EQ(nearest.vector().data(), search.vectors().data());
  EXPECT_EQ(nearest.vector().element_type(), v1::FLOAT32);

  search.clear_vectors();
  search.mutable_ids()->add_num(100);
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Search, search, &found).ok());
  EXPECT_NE(found.results(0).hits(0).id().num(), 100u);
}

TEST_F(PointsServiceTest, GetsCountsScrollsAndDeletes) {
  v1::GetPointsRequest get;
  get.set_collection_name("words");
  for (const uint64_t id : {7u, 99u, 3u}) get.mutable_ids()->add_num(id);
  get.set_with_vectors(true);
  v1::GetPointsResponse points;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Get, get, &points).ok());
  ASSERT_EQ(points.points_size(), 2);
  EXPECT_EQ(points.points(0).id().num(), 7u);
  EXPECT_EQ(points.points(1).id().num(), 3u);
  EXPECT_EQ(points.points(0).vector().data().size(), kDimension * sizeof(float));

  std::vector<uint64_t> seen;
  v1::ScrollRequest scroll;
  scroll.set_collection_name("words");
  scroll.set_page_size(4);
  do {
    v1::ScrollResponse page;
    ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Scroll, scroll, &page).ok());
    EXPECT_LE(page.points_size(), 4);
    for (const v1::Point& point : page.points()) {
      seen.push_back(point.id().num());
      EXPECT_FALSE(point.has_vector());
    }
    scroll.set_page_token(page.next_page_token());
  } while (!scroll.page_token().empty());
  EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));

  v1::DeletePointsRequest remove;
  remove.set_collection_name("words");
  remove.mutable_ids()->add_num(3);
  remove.mutable_ids()->add_num(99);
  v1::DeletePointsResponse removed;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Delete, remove, &removed).ok());
  EXPECT_EQ(removed.points(), 1u);
  v1::CountRequest count;
  count.set_collection_name("words");
  v1::CountResponse counted;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Count, count, &counted).ok());
  EXPECT_EQ(counted.points(), 9u);
}

TEST_F(PointsServiceTest, RefusesBadWritesAndChangesNothing) {
  const uint64_t sequence = Sequence("words");
  struct Case {
    std::function<void(v1::UpsertRequest&)> spoil;
    std::string field;
  };
  const auto kNan = std::numeric_limits<float>::quiet_NaN();
  const Case cases[] = {
      {[](auto& r) { r.clear_collection_name(); }, "collection_name"},
      {[](auto& r) { r.clear_ids(); }, "ids"},
      {[](auto& r) { r.mutable_ids()->add_str("x"); }, "ids"},
      {[](auto& r) { r.mutable_ids()->set_num(1, r.ids().num(0)); }, "ids"},
      {[](auto& r) {
         r.clear_ids();
         for (const char* id : {"a", ""}) r.mutable_ids()->add_str(id);
       },
       "ids.str[1]"},
      {[](auto& r) {
         r.clear_ids();
         for (const std::string& id : {std::string(257, 'x'), std::string("b")}) {
           r.mutable_ids()->add_str(id);
         }
       },
       "ids.str[0]"},
      {[](auto& r) { r.clear_vectors(); }, "vectors"},
      {[](auto& r) { r.mutable_vectors()->add_values(1); }, "vectors.values"},
      {[](auto& r) { r.mutable_ids()->add_num(999); }, "vectors.values"},
      {[](auto& r) { r.mutable_vectors()->set_data("1234"); }, "vectors"},
      {[](auto& r) {
         r.clear_vectors();
         r.mutable_vectors()->set_data(std::string(2 * kDimension * 4 - 1, 'x'));
       },
       "vectors.data"},
      {[](auto& r) { r.mutable_vectors()->set_element_type(v1::INT8); }, "vectors.element_type"},
      {[&](auto& r) { r.mutable_vectors()->set_values(5, kNan); }, "vectors"},
      {[](auto& r) { r.mutable_vectors()->set_values(5, INFINITY); }, "vectors"},
      {[](auto& r) { r.add_payloads("{}"); }, "payloads"},
      {[](auto& r) {
         r.add_payloads("{}");
         r.add_payloads("[1]");
       },
       "payloads[1]"},
      {[](auto& r) {
         r.add_payloads("{\"a\":\"" + std::string(limits::kPayloadBytesMax, 'x') + "\"}");
         r.add_payloads("");
       },
       "payloads[0]"},
  };
  for (const Case& c : cases) {
    v1::UpsertRequest request = Points("words", 500, 2, kDimension);
    c.spoil(request);
    const CallError error(Upsert(request));
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT) << c.field;
    EXPECT_EQ(error.field.substr(0, c.field.size()), c.field);
  }
  EXPECT_EQ(Count("words"), 10u);
  EXPECT_EQ(Sequence("words"), sequence);

  const CallError unknown(Upsert(Points("wrods", 1, 1, kDimension)));
  EXPECT_EQ(unknown.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(unknown.resource, "collection");
}

TEST_F(PointsServiceTest, RefusesBadSearches) {
  struct Case {
    v1::SearchRequest request;
    std::string field;
  };
  std::vector<Case> cases = {
      {Query(kDimension, 0), "limit"},
      {Query(kDimension, limits::kSearchLimitMax + 1), "limit"},
      {Query(kDimension * 101, limits::kSearchLimitMax), "limit"},
      {Query(kDimension + 1, 1), "vectors.values"},
      {Query(0, 1), "vectors"},
      {Query(kDimension * (static_cast<int>(limits::kSearchQueriesMax) + 1), 1), "vectors.values"},
      {Query(kDimension, 1), "params.nprobe"},
      {Query(kDimension, 1), "params.rerank"},
      {Query(kDimension, 1), "vectors"},
      {Query(kDimension, 1), "vectors"},
  };
  cases[6].request.mutable_params()->set_nprobe(limits::kListsMax + 1);
  cases[7].request.mutable_params()->set_rerank(limits::kRerankMax + 1);
  cases[8].request.mutable_ids()->add_num(1);
  cases[9].request.mutable_vectors()->set_values(0, NAN);
  for (const Case& c : cases) {
    const CallError error(Search(c.request));
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT) << c.field;
    EXPECT_EQ(error.field.substr(0, c.field.size()), c.field);
  }
  v1::SearchRequest by_id = Query(0, 1);
  by_id.mutable_ids()->add_num(12345);
  const CallError missing(Search(by_id));
  EXPECT_EQ(missing.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(missing.resource, "point");
}

TEST_F(PointsServiceTest, RefusesBadPagesAndIds) {
  v1::ScrollRequest scroll;
  v1::ScrollResponse page;
  scroll.set_collection_name("words");
  scroll.set_page_size(limits::kPageSizeMax + 1);
  EXPECT_EQ(CallError(Call(*points_, &v1::Points::Stub::Scroll, scroll, &page)).field, "page_size");
  scroll.set_page_size(1);
  for (const std::string& token : {std::string("x"), std::string(1'000, 'A')}) {
    scroll.set_page_token(token);
    EXPECT_EQ(CallError(Call(*points_, &v1::Points::Stub::Scroll, scroll, &page)).field,
              "page_token");
  }
  v1::GetPointsRequest get;
  v1::GetPointsResponse points;
  get.set_collection_name("words");
  EXPECT_EQ(CallError(Call(*points_, &v1::Points::Stub::Get, get, &points)).field, "ids");
  for (size_t i = 0; i <= limits::kIdsPerRequestMax; ++i) get.mutable_ids()->add_num(i);
  EXPECT_EQ(CallError(Call(*points_, &v1::Points::Stub::Get, get, &points)).field, "ids");
  v1::DeletePointsRequest remove;
  v1::DeletePointsResponse removed;
  remove.set_collection_name("words");
  EXPECT_EQ(CallError(Call(*points_, &v1::Points::Stub::Delete, remove, &removed)).field, "ids");
  *remove.mutable_ids() = get.ids();
  EXPECT_EQ(CallError(Call(*points_, &v1::Points::Stub::Delete, remove, &removed)).field, "ids");
  EXPECT_EQ(Count("words"), 10u);
}

TEST_F(PointsServiceTest, PagesOfLargeVectorsFitAMessage) {
  constexpr uint32_t kLarge = limits::kDimensionMax;
  Create("large", kLarge);
  for (uint64_t i = 0; i < 6; ++i) {
    ASSERT_TRUE(Upsert(Points("large", i * 100, 100, static_cast<int>(kLarge))).ok());
  }
  v1::ScrollRequest scroll;
  scroll.set_collection_name("large");
  scroll.set_page_size(600);
  scroll.set_with_vectors(true);
  int points = 0;
  do {
    v1::ScrollResponse page;
    const grpc::Status status = Call(*points_, &v1::Points::Stub::Scroll, scroll, &page);
    ASSERT_TRUE(status.ok()) << status.error_message();
    points += page.points_size();
    scroll.set_page_token(page.next_page_token());
  } while (!scroll.page_token().empty());
  EXPECT_EQ(points, 600);
}

}  // namespace
}  // namespace tessera
