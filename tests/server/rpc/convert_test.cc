#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_codebooks.h"
#include "server/rpc/convert_collections.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_points.h"
#include "server/rpc/convert_types.h"

namespace tessera {
namespace {

// The field that the refusal names; "" if there is no refusal.
template <typename T>
std::string FieldOf(const absl::StatusOr<T>& result) {
  if (result.ok()) return "";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  return GetStatusDetails(result.status()).field;
}

CollectionSpec Spec(uint32_t dimension) {
  CollectionSpec spec;
  spec.name = "words";
  spec.dimension = dimension;
  return spec;
}

v1::Vectors Values(int count) {
  v1::Vectors vectors;
  for (int i = 0; i < count; ++i) vectors.add_values(static_cast<float>(i));
  return vectors;
}

v1::SearchRequest Search(int components, uint32_t limit) {
  v1::SearchRequest request;
  request.set_collection_name("words");
  request.set_limit(limit);
  *request.mutable_vectors() = Values(components);
  return request;
}

TEST(ConvertTypesTest, ViewsTheMessagesOwnMemory) {
  v1::Vectors vectors = Values(12);
  auto view = ToVectors(vectors, "vectors", 4, 3, 100);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->rows, 3u);
  EXPECT_EQ(view->dim, 4u);
  EXPECT_EQ(view->type, ElementType::kFloat32);
  EXPECT_EQ(static_cast<const void*>(view->data),
            static_cast<const void*>(vectors.values().data()));

  vectors.Clear();
  vectors.set_data(std::string(8, '\x01'));
  vectors.set_element_type(v1::UINT8);
  view = ToVectors(vectors, "vectors", 4, std::nullopt, 100);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->rows, 2u);
  EXPECT_EQ(view->type, ElementType::kUint8);
  EXPECT_EQ(static_cast<const void*>(view->data), static_cast<const void*>(vectors.data().data()));
}

TEST(ConvertTypesTest, RefusesVectorsOfTheWrongShape) {
  const v1::Vectors vectors = Values(12);
  EXPECT_EQ(FieldOf(ToVectors(vectors, "vectors", 5, std::nullopt, 100)), "vectors.values");
  EXPECT_EQ(FieldOf(ToVectors(vectors, "vectors", 4, 2, 100)), "vectors.values");
  EXPECT_EQ(FieldOf(ToVectors(vectors, "vectors", 4, std::nullopt, 2)), "vectors.values");
  EXPECT_EQ(FieldOf(ToVectors(v1::Vectors(), "vectors", 4, std::nullopt, 2)), "vectors");

  v1::Vectors both = vectors;
  both.set_data("1234");
  EXPECT_EQ(FieldOf(ToVectors(both, "vectors", 4, 3, 100)), "vectors");
  v1::Vectors typed = vectors;
  typed.set_element_type(v1::INT8);
  EXPECT_EQ(FieldOf(ToVectors(typed, "vectors", 4, 3, 100)), "vectors.element_type");

  v1::Vectors bytes;
  bytes.set_data(std::string(7, 'x'));  // not whole floats
  EXPECT_EQ(FieldOf(ToVectors(bytes, "vectors", 1, std::nullopt, 100)), "vectors.data");
  bytes.set_data(std::string(12, 'x'));
  EXPECT_EQ(FieldOf(ToVectors(bytes, "vectors", 2, std::nullopt, 100)), "vectors.data");
  bytes.set_element_type(static_cast<v1::ElementType>(77));
  EXPECT_EQ(FieldOf(ToVectors(bytes, "vectors", 3, std::nullopt, 100)), "vectors.element_type");
}

TEST(ConvertTypesTest, Ids) {
  v1::PointIds ids;
  EXPECT_EQ(FieldOf(ToPointIds(ids, "ids", 10)), "ids");
  ids.add_num(7);
  ids.add_num(0xFFFF'FFFF'FFFF'FFFFu);
  auto numbers = ToPointIds(ids, "ids", 10);
  ASSERT_TRUE(numbers.ok());
  EXPECT_EQ(std::get<uint64_t>(numbers->at(1)), 0xFFFF'FFFF'FFFF'FFFFu);
  EXPECT_EQ(FieldOf(ToPointIds(ids, "ids", 1)), "ids");
  ids.add_str("7");
  EXPECT_EQ(FieldOf(ToPointIds(ids, "ids", 10)), "ids");

  ids.clear_num();
  ids.add_str(std::string(limits::kStringIdBytesMax, 'x'));
  EXPECT_EQ(FieldOf(ToPointIds(ids, "ids", 10)), "");
  ids.add_str("");
  EXPECT_EQ(FieldOf(ToPointIds(ids, "ids", 10)), "ids.str[2]");
  ids.set_str(2, std::string(limits::kStringIdBytesMax + 1, 'x'));
  EXPECT_EQ(FieldOf(ToPointIds(ids, "ids", 10)), "ids.str[2]");

  v1::PointId out;
  FromPointId(PointId(uint64_t{7}), &out);
  EXPECT_EQ(out.num(), 7u);
  FromPointId(PointId(std::string("7")), &out);
  EXPECT_EQ(out.str(), "7");
}

TEST(ConvertTypesTest, EnumsGoThereAndBack) {
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    EXPECT_EQ(*ToMetric(FromMetric(metric), "metric"), metric);
  }
  for (const ElementType type :
       {ElementType::kFloat32, ElementType::kFloat16, ElementType::kUint8, ElementType::kInt8}) {
    EXPECT_EQ(*ToElementType(FromElementType(type), "element_type"), type);
  }
  EXPECT_EQ(*ToMetric(v1::METRIC_UNSPECIFIED, "metric"), Metric::kCosine);
  EXPECT_EQ(*ToElementType(v1::ELEMENT_TYPE_UNSPECIFIED, "t"), ElementType::kFloat32);
  EXPECT_EQ(FieldOf(ToMetric(static_cast<v1::Metric>(9), "metric")), "metric");
}

TEST(ConvertTypesTest, TimesBeforeTheEpochToo) {
  google::protobuf::Timestamp time;
  FromTimeMs(1'500, &time);
  EXPECT_EQ(time.seconds(), 1);
  EXPECT_EQ(time.nanos(), 500'000'000);
  FromTimeMs(-1, &time);
  EXPECT_EQ(time.seconds(), -1);
  EXPECT_EQ(time.nanos(), 999'000'000);
}

TEST(ConvertCollectionsTest, SpecThereAndInfoBack) {
  v1::CreateCollectionRequest request;
  request.set_collection_name("words");
  request.set_dimension(128);
  request.set_metric(v1::L2);
  request.set_element_type(v1::FLOAT16);
  auto& index = *request.mutable_index();
  index.set_nlist(11);
  index.set_subquantizers(12);
  index.set_nbits(4);
  index.set_vectors(v1::DISK);
  index.set_seed(13);
  index.set_iterations(14);
  index.set_training_vectors_per_list(15);
  index.set_default_nprobe(16);
  index.set_default_rerank(17);
  const auto spec = ToCollectionSpec(request);
  ASSERT_TRUE(spec.ok()) << spec.status();

  CollectionInfo info;
  info.spec = *spec;
  info.state = CollectionState::kReady;
  info.points = 1;
  info.memory_bytes = 2;
  info.disk_bytes = 3;
  info.codebook_version = 4;
  info.sequence = 5;
  info.create_time_ms = 6'000;
  v1::Collection out;
  FromCollectionInfo(info, &out);
  EXPECT_EQ(out.collection_name(), "words");
  EXPECT_EQ(out.dimension(), 128u);
  EXPECT_EQ(out.metric(), v1::L2);
  EXPECT_EQ(out.element_type(), v1::FLOAT16);
  EXPECT_EQ(out.index().SerializeAsString(), index.SerializeAsString());
  EXPECT_EQ(out.state(), v1::READY);
  EXPECT_EQ(out.points(), 1u);
  EXPECT_EQ(out.memory_bytes(), 2u);
  EXPECT_EQ(out.disk_bytes(), 3u);
  EXPECT_EQ(out.codebook_version(), 4u);
  EXPECT_EQ(out.sequence(), 5u);
  EXPECT_EQ(out.create_time().seconds(), 6);
}

TEST(ConvertCollectionsTest, RefusesUnknownEnumsAndNames) {
  v1::CreateCollectionRequest request;
  EXPECT_EQ(FieldOf(ToCollectionSpec(request)), "collection_name");
  request.set_collection_name(std::string(limits::kCollectionNameBytesMax + 1, 'x'));
  EXPECT_EQ(FieldOf(ToCollectionSpec(request)), "collection_name");
  request.set_collection_name("words");
  request.set_metric(static_cast<v1::Metric>(44));
  EXPECT_EQ(FieldOf(ToCollectionSpec(request)), "metric");
  request.set_metric(v1::L2);
  request.set_element_type(static_cast<v1::ElementType>(-1));
  EXPECT_EQ(FieldOf(ToCollectionSpec(request)), "element_type");
  request.set_element_type(v1::INT8);
  request.mutable_index()->set_vectors(static_cast<v1::VectorPlacement>(4));
  EXPECT_EQ(FieldOf(ToCollectionSpec(request)), "index.vectors");
}

TEST(ConvertCollectionsTest, PageTokens) {
  EXPECT_EQ(*FromCollectionsToken(""), "");
  EXPECT_EQ(*FromCollectionsToken(ToCollectionsToken("words")), "words");
  for (const std::string& token :
       {std::string("!"), std::string("AA"), ToCollectionsToken(""),
        ToCollectionsToken(std::string(limits::kCollectionNameBytesMax + 1, 'x')),
        std::string(100'000, 'A')}) {
    EXPECT_EQ(FieldOf(FromCollectionsToken(token)), "page_token");
  }
}

TEST(ConvertPointsTest, UpsertBatch) {
  v1::UpsertRequest request;
  request.mutable_ids()->add_num(1);
  request.mutable_ids()->add_num(2);
  *request.mutable_vectors() = Values(6);
  request.add_payloads("{\"a\":1}");
  EXPECT_EQ(FieldOf(ToUpsertBatch(request, Spec(3))), "payloads");
  request.add_payloads("");
  const auto batch = ToUpsertBatch(request, Spec(3));
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->ids.size(), 2u);
  EXPECT_EQ(batch->vectors.rows, 2u);
  EXPECT_EQ(batch->payloads[0], "{\"a\":1}");
  EXPECT_EQ(FieldOf(ToUpsertBatch(request, Spec(4))), "vectors.values");
}

TEST(ConvertPointsTest, SearchLimits) {
  EXPECT_EQ(FieldOf(ToSearchRequest(Search(6, 0), Spec(3))), "limit");
  EXPECT_EQ(FieldOf(ToSearchRequest(Search(6, limits::kSearchLimitMax + 1), Spec(3))), "limit");
  EXPECT_EQ(FieldOf(ToSearchRequest(Search(6, limits::kSearchLimitMax), Spec(3))), "");
  // 101 queries x 10000.
  EXPECT_EQ(FieldOf(ToSearchRequest(Search(101, limits::kSearchLimitMax), Spec(1))), "limit");
  EXPECT_EQ(FieldOf(ToSearchRequest(Search(limits::kSearchQueriesMax + 1, 1), Spec(1))),
            "vectors.values");
  EXPECT_EQ(FieldOf(ToSearchRequest(Search(7, 1), Spec(3))), "vectors.values");
  EXPECT_EQ(FieldOf(ToSearchRequest(Search(0, 1), Spec(3))), "vectors");

  v1::SearchRequest request = Search(3, 1);
  request.mutable_params()->set_nprobe(limits::kListsMax + 1);
  EXPECT_EQ(FieldOf(ToSearchRequest(request, Spec(3))), "params.nprobe");
  request.mutable_params()->set_nprobe(1);
  request.mutable_params()->set_rerank(limits::kRerankMax + 1);
  EXPECT_EQ(FieldOf(ToSearchRequest(request, Spec(3))), "params.rerank");
  request.mutable_params()->set_rerank(1);
  request.mutable_ids()->add_num(1);
  EXPECT_EQ(FieldOf(ToSearchRequest(request, Spec(3))), "vectors");
  request.clear_vectors();
  EXPECT_EQ(FieldOf(ToSearchRequest(request, Spec(3))), "");
  request.clear_ids();
  EXPECT_EQ(FieldOf(ToSearchRequest(request, Spec(3))), "vectors");

  // 1,000 vectors of 128 KiB do not fit into one message.
  request = Search(limits::kDimensionMax, 1'000);
  EXPECT_EQ(FieldOf(ToSearchRequest(request, Spec(limits::kDimensionMax))), "");
  request.set_with_vectors(true);
  EXPECT_EQ(FieldOf(ToSearchRequest(request, Spec(limits::kDimensionMax))), "with_vectors");
}

TEST(ConvertPointsTest, SearchParameters) {
  v1::SearchRequest request = Search(3, 5);
  request.mutable_params()->set_nprobe(1);
  request.mutable_params()->set_rerank(2);
  request.mutable_params()->set_exact(true);
  request.mutable_params()->set_no_rerank(true);
  request.mutable_with_payload()->set_enable(true);
  request.set_with_vectors(true);
  const auto search = ToSearchRequest(request, Spec(3));
  ASSERT_TRUE(search.ok()) << search.status();
  EXPECT_EQ(search->collection, "words");
  EXPECT_EQ(search->limit, 5u);
  EXPECT_EQ(search->nprobe, 1u);
  EXPECT_EQ(search->rerank, 2u);
  EXPECT_TRUE(search->exact && search->no_rerank);
  EXPECT_TRUE(search->fields.payload.enabled && search->fields.vector);
}

TEST(ConvertPointsTest, TheIdOfARangeSearch) {
  v1::SearchRangeRequest request;
  request.set_collection_name("words");
  request.set_radius(1);
  request.mutable_id();
  EXPECT_EQ(FieldOf(ToRangeRequest(request, Spec(3))), "id");
  request.mutable_id()->set_str("");
  EXPECT_EQ(FieldOf(ToRangeRequest(request, Spec(3))), "id.str");
  request.mutable_id()->set_str(std::string(limits::kStringIdBytesMax + 1, 'a'));
  EXPECT_EQ(FieldOf(ToRangeRequest(request, Spec(3))), "id.str");
  request.mutable_id()->set_str(std::string(limits::kStringIdBytesMax, 'a'));
  EXPECT_EQ(ToRangeRequest(request, Spec(3))->id, PointId(request.id().str()));
  request.mutable_id()->set_num(0);
  EXPECT_EQ(ToRangeRequest(request, Spec(3))->id, PointId(uint64_t{0}));
}

TEST(ConvertPointsTest, SearchResults) {
  SearchResult result;
  result.element_type = ElementType::kInt8;
  result.hits.resize(2);
  result.hits[1].push_back({.id = PointId(std::string("a")),
                            .score = 0.5f,
                            .score_is_exact = false,
                            .payload = "{}",
                            .vector = "xy"});
  v1::SearchResponse response;
  FromSearchResult(std::move(result), &response);
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_EQ(response.results(0).hits_size(), 0);
  const v1::ScoredPoint& hit = response.results(1).hits(0);
  EXPECT_EQ(hit.id().str(), "a");
  EXPECT_EQ(hit.score(), 0.5f);
  EXPECT_FALSE(hit.score_is_exact());
  EXPECT_EQ(hit.payload(), "{}");
  EXPECT_EQ(hit.vector().data(), "xy");
  EXPECT_EQ(hit.vector().element_type(), v1::INT8);
}

TEST(ConvertCodebooksTest, Codes) {
  v1::Codes codes;
  EXPECT_EQ(FieldOf(ToCodeRows(codes)), "codes.lists");
  codes.add_lists(1);
  codes.add_lists(2);
  EXPECT_EQ(FieldOf(ToCodeRows(codes)), "codes.codes");
  codes.set_codes("abc");
  EXPECT_EQ(FieldOf(ToCodeRows(codes)), "codes.codes");
  codes.set_codes("abcd");
  codes.set_codebook_version(3);
  auto rows = ToCodeRows(codes);
  ASSERT_TRUE(rows.ok()) << rows.status();
  rows->errors = {0.25f, 0.5f};
  v1::EncodeResponse response;
  FromCodeRows(*std::move(rows), &response);
  EXPECT_EQ(response.codes().codebook_version(), 3u);
  EXPECT_EQ(response.codes().lists(1), 2u);
  EXPECT_EQ(response.codes().codes(), "abcd");
  EXPECT_EQ(response.errors(1), 0.5f);
}

TEST(ConvertOperationsTest, FailureCarriesItsDetails) {
  OperationInfo info;
  info.id = "op-1";
  info.kind = "train";
  info.state = OperationState::kFailed;
  info.error = ErrorWithReason(absl::StatusCode::kFailedPrecondition, "TOO_FEW_POINTS", "3 points");
  info.start_time_ms = 1;
  v1::Operation operation;
  FromOperationInfo(info, &operation);
  EXPECT_EQ(operation.state(), v1::FAILED);
  EXPECT_EQ(operation.error().code(), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  google::rpc::ErrorInfo reason;
  ASSERT_TRUE(operation.error().details(0).UnpackTo(&reason));
  EXPECT_EQ(reason.reason(), "TOO_FEW_POINTS");
  EXPECT_TRUE(operation.has_start_time());
  EXPECT_FALSE(operation.has_end_time());
}

}  // namespace
}  // namespace tessera
