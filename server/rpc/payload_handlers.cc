#include "server/rpc/payload_handlers.h"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/engine/payload.h"
#include "server/filter/payload_edit.h"
#include "server/rpc/convert_filter.h"
#include "server/rpc/convert_points.h"
#include "server/rpc/convert_types.h"

namespace tessera {
namespace {

using EditText = std::function<std::string(const std::string& payload)>;

absl::Status CheckPayload(const std::string& payload) {
  if (absl::Status status = ValidatePayload(payload); !status.ok()) {
    return InvalidField("payload", std::string(status.message()));
  }
  return absl::OkStatus();
}

// Changes the payloads of the points that the request's selector names.
template <class Request>
absl::Status EditPayloads(Engine& engine, std::string_view call, const Request& request,
                          const EditText& edit_text, v1::UpsertResponse* response) {
  const std::string& collection = request.collection_name();
  RETURN_IF_ERROR(CheckCollectionName(collection));
  const v1::PointsSelector& selector = request.points();
  if (selector.has_ids() == selector.has_filter()) {
    return InvalidField("points", "must have ids or a filter, one of the two");
  }
  ASSIGN_OR_RETURN(const WriteOptions options, ToFingerprintedWriteOptions(call, request));
  const PointEdit edit = [&](size_t, PointData* point) -> absl::Status {
    std::string changed = edit_text(point->payload);
    if (!changed.empty()) RETURN_IF_ERROR(CheckPayload(changed));
    point->payload = std::move(changed);
    return absl::OkStatus();
  };
  absl::StatusOr<WriteResult> result;
  if (selector.has_ids()) {
    ASSIGN_OR_RETURN(const std::vector<PointId> ids,
                     ToPointIds(selector.ids(), "points.ids", limits::kUpsertPointsMax));
    result = engine.EditPoints(collection, ids, edit, options);
  } else {
    ASSIGN_OR_RETURN(const Filter filter, ToFilter(selector.filter(), "points.filter"));
    result = engine.EditByFilter(collection, filter, edit, options);
  }
  if (!result.ok()) {
    const std::string field = GetStatusDetails(result.status()).field;
    const bool of_selector = field.starts_with("filter") || field.starts_with("ids");
    return of_selector ? WithinField("points", result.status()) : result.status();
  }
  FromWriteResult(*result, response);
  return absl::OkStatus();
}

}  // namespace

absl::Status HandleSetPayload(Engine& engine, v1::SetPayloadRequest& request,
                              v1::UpsertResponse* response) {
  RETURN_IF_ERROR(CheckPayload(request.payload()));
  return EditPayloads(
      engine, "SetPayload", request,
      [&](const std::string& payload) { return MergePayload(payload, request.payload()); },
      response);
}

absl::Status HandleOverwritePayload(Engine& engine, v1::SetPayloadRequest& request,
                                    v1::UpsertResponse* response) {
  RETURN_IF_ERROR(CheckPayload(request.payload()));
  return EditPayloads(
      engine, "OverwritePayload", request, [&](const std::string&) { return request.payload(); },
      response);
}

absl::Status HandleDeletePayload(Engine& engine, v1::DeletePayloadRequest& request,
                                 v1::UpsertResponse* response) {
  if (request.keys().empty()) return InvalidField("keys", "is empty");
  ASSIGN_OR_RETURN(const std::vector<FieldPath> keys, ToFieldPaths(request.keys(), "keys"));
  return EditPayloads(
      engine, "DeletePayload", request,
      [&](const std::string& payload) { return DeleteFromPayload(payload, keys); }, response);
}

absl::Status HandleClearPayload(Engine& engine, v1::ClearPayloadRequest& request,
                                v1::UpsertResponse* response) {
  return EditPayloads(
      engine, "ClearPayload", request, [](const std::string&) { return std::string(); }, response);
}

absl::Status HandleUpdateVectors(Engine& engine, v1::UpdateVectorsRequest& request,
                                 v1::UpsertResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CollectionSpec spec, engine.DescribeCollection(request.collection_name()));
  ASSIGN_OR_RETURN(const std::vector<PointId> ids,
                   ToPointIds(request.ids(), "ids", limits::kUpsertPointsMax));
  ASSIGN_OR_RETURN(const VectorsView vectors,
                   ToVectors(request.vectors(), "vectors", spec.dimension, ids.size(),
                             limits::kUpsertPointsMax));
  ASSIGN_OR_RETURN(const WriteOptions options,
                   ToFingerprintedWriteOptions("UpdateVectors", request));
  ASSIGN_OR_RETURN(const WriteResult result,
                   engine.UpdateVectors(request.collection_name(), ids, vectors, options));
  FromWriteResult(result, response);
  return absl::OkStatus();
}

}  // namespace tessera
