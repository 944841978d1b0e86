#include "server/rpc/points_handlers.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_filter.h"
#include "server/rpc/convert_points.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/request_parser.h"

namespace tessera {
namespace {

template <typename Response>
void FromPoints(std::vector<PointData>&& points, ElementType type, Response* response) {
  response->mutable_points()->Reserve(static_cast<int>(points.size()));
  for (PointData& point : points) FromPoint(std::move(point), type, response->add_points());
}

// How many points' vectors fit into a response, with room for ids and framing.
size_t PointsPerMessage(const CollectionSpec& spec) {
  const size_t row_bytes = spec.dimension * ElementSize(spec.element_type);
  return limits::kMessageBytesMax / (row_bytes + limits::kStringIdBytesMax + 64);
}

}  // namespace

absl::Status HandleUpsert(Engine& engine, v1::UpsertRequest& request,
                          v1::UpsertResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CollectionSpec spec, engine.DescribeCollection(request.collection_name()));
  ASSIGN_OR_RETURN(const UpsertBatch batch, ToUpsertBatch(request, spec));
  ASSIGN_OR_RETURN(const WriteResult result, engine.Upsert(request.collection_name(), batch));
  FromWriteResult(result, response);
  return absl::OkStatus();
}

absl::Status HandleDelete(Engine& engine, v1::DeletePointsRequest& request,
                          v1::DeletePointsResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const std::vector<PointId> ids,
                   ToPointIds(request.ids(), "ids", limits::kIdsPerRequestMax));
  ASSIGN_OR_RETURN(const WriteOptions options,
                   ToWriteOptions(request.durability(), request.request_id()));
  ASSIGN_OR_RETURN(const WriteResult result,
                   engine.DeletePoints(request.collection_name(), ids, options));
  FromWriteResult(result, response);
  return absl::OkStatus();
}

absl::Status HandleDeleteByFilter(Engine& engine, v1::DeleteByFilterRequest& request,
                                  v1::DeletePointsResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const Filter filter, ToFilter(request.filter(), "filter"));
  ASSIGN_OR_RETURN(const WriteOptions options,
                   ToFingerprintedWriteOptions("DeleteByFilter", request));
  ASSIGN_OR_RETURN(const WriteResult result,
                   engine.DeleteByFilter(request.collection_name(), filter, options));
  FromWriteResult(result, response);
  return absl::OkStatus();
}

absl::Status HandleGet(Engine& engine, v1::GetPointsRequest& request,
                       v1::GetPointsResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const std::vector<PointId> ids,
                   ToPointIds(request.ids(), "ids", limits::kIdsPerRequestMax));
  if (request.with_vectors()) {
    ASSIGN_OR_RETURN(const CollectionSpec spec,
                     engine.DescribeCollection(request.collection_name()));
    RETURN_IF_ERROR(CheckAtMost("ids", ids.size(), PointsPerMessage(spec)));
  }
  ASSIGN_OR_RETURN(const PointFields fields,
                   ToPointFields(request.with_payload(), request.with_vectors()));
  ElementType type = ElementType::kFloat32;
  ASSIGN_OR_RETURN(std::vector<PointData> points,
                   engine.GetPoints(request.collection_name(), ids, fields, &type));
  FromPoints(std::move(points), type, response);
  return absl::OkStatus();
}

absl::Status HandleCount(Engine& engine, v1::CountRequest& request, v1::CountResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const Filter filter, ToFilter(request.filter(), "filter"));
  PointsCount count;
  if (request.has_exact() && !request.exact()) {
    ASSIGN_OR_RETURN(count, engine.EstimatePoints(request.collection_name(), filter));
  } else {
    ASSIGN_OR_RETURN(count.points, engine.CountPoints(request.collection_name(), filter));
    count.points_min = count.points_max = count.points;
    count.exact = true;
  }
  response->set_points(count.points);
  response->set_exact(count.exact);
  response->set_points_min(count.points_min);
  response->set_points_max(count.points_max);
  return absl::OkStatus();
}

absl::Status HandleScroll(Engine& engine, v1::ScrollRequest& request,
                          v1::ScrollResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  RETURN_IF_ERROR(CheckAtMost("page_size", request.page_size(), limits::kPageSizeMax));
  size_t page = request.page_size() == 0 ? limits::kPageSizeDefault : request.page_size();
  if (request.with_vectors()) {
    ASSIGN_OR_RETURN(const CollectionSpec spec,
                     engine.DescribeCollection(request.collection_name()));
    page = std::clamp<size_t>(PointsPerMessage(spec), 1, page);
  }
  ASSIGN_OR_RETURN(const Filter filter, ToFilter(request.filter(), "filter"));
  ASSIGN_OR_RETURN(const PointFields fields,
                   ToPointFields(request.with_payload(), request.with_vectors()));
  ElementType type = ElementType::kFloat32;
  ScrollPage points;
  if (request.has_order_by()) {
    ASSIGN_OR_RETURN(const ScrollOrder order, ToScrollOrder(request.order_by()));
    ASSIGN_OR_RETURN(points, engine.ScrollInOrder(request.collection_name(), order, page,
                                                  request.page_token(), filter, fields, &type));
  } else {
    ASSIGN_OR_RETURN(points, engine.ScrollPoints(request.collection_name(), page,
                                                 request.page_token(), filter, fields, &type));
  }
  FromPoints(std::move(points.points), type, response);
  response->set_next_page_token(std::move(points.next_page_token));
  return absl::OkStatus();
}

absl::StatusOr<SearchRequest> ParseSearch(Engine& engine, const v1::SearchRequest& request) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CollectionSpec spec, engine.DescribeCollection(request.collection_name()));
  return ToSearchRequest(request, spec);
}

absl::Status SerializeSearch(SearchResult&& result, grpc::ByteBuffer* response) {
  google::protobuf::Arena arena(ResponseArenaOptions());
  auto* message = google::protobuf::Arena::CreateMessage<v1::SearchResponse>(&arena);
  FromSearchResult(std::move(result), message);
  return SerializeResponse(*message, response);
}

}  // namespace tessera
