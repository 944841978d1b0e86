#include "server/rpc/collections_service.h"

#include <optional>
#include <string>
#include <vector>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/engine/page_token.h"
#include "server/rpc/convert_collections.h"
#include "server/rpc/convert_filter.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_settings.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/unary_call.h"
#include "tessera/v1/collections.grpc.pb.h"

namespace tessera {
namespace {

absl::Status HandleCreate(Engine& engine, v1::CreateCollectionRequest& request,
                          v1::Collection* response) {
  ASSIGN_OR_RETURN(const CollectionSpec spec, ToCollectionSpec(request));
  ASSIGN_OR_RETURN(const CollectionInfo info, engine.CreateCollection(spec));
  FromCollectionInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleGet(Engine& engine, v1::GetCollectionRequest& request,
                       v1::Collection* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CollectionInfo info, engine.GetCollection(request.collection_name()));
  FromCollectionInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleUpdate(Engine& engine, v1::UpdateCollectionRequest& request,
                          v1::Collection* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const SettingsEdit edit, ToSettingsEdit(request));
  std::optional<uint64_t> expected_revision;
  if (request.has_expected_revision()) expected_revision = request.expected_revision();
  ASSIGN_OR_RETURN(const CollectionInfo info,
                   engine.UpdateCollection(request.collection_name(), edit, expected_revision));
  FromCollectionInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleGetListStatistics(Engine& engine, v1::GetListStatisticsRequest& request,
                                     v1::GetListStatisticsResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const ListStatistics statistics,
                   engine.GetListStatistics(request.collection_name(), request.page_size(),
                                            request.page_token()));
  FromListStatistics(statistics, response);
  return absl::OkStatus();
}

absl::Status HandleList(Engine& engine, v1::ListCollectionsRequest& request,
                        v1::ListCollectionsResponse* response) {
  RETURN_IF_ERROR(CheckAtMost("page_size", request.page_size(), limits::kPageSizeMax));
  ASSIGN_OR_RETURN(const std::string after, FromCollectionsToken(request.page_token()));
  const size_t page = request.page_size() == 0 ? limits::kPageSizeDefault : request.page_size();
  // One more than the page holds tells whether there is a next one.
  const std::vector<CollectionInfo> infos = engine.ListCollections(after, page + 1);
  for (size_t i = 0; i < infos.size() && i < page; ++i) {
    FromCollectionInfo(infos[i], response->add_collections());
  }
  if (infos.size() > page) {
    response->set_next_page_token(ToCollectionsToken(infos[page - 1].spec.name));
  }
  return absl::OkStatus();
}

absl::Status HandleDelete(Engine& engine, v1::DeleteCollectionRequest& request,
                          v1::DeleteCollectionResponse*) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  return engine.DeleteCollection(request.collection_name());
}

absl::Status HandleCreatePayloadIndex(Engine& engine, v1::CreatePayloadIndexRequest& request,
                                      v1::Operation* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const PayloadIndexSpec spec, ToPayloadIndexSpec(request.key(), request.type()));
  ASSIGN_OR_RETURN(const OperationInfo info,
                   engine.CreatePayloadIndex(request.collection_name(), spec));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleDropPayloadIndex(Engine& engine, v1::DropPayloadIndexRequest& request,
                                    v1::DropPayloadIndexResponse*) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  return engine.DropPayloadIndex(request.collection_name(), request.key());
}

absl::Status HandleCalibrate(Engine& engine, v1::CalibrateRequest& request,
                             v1::Operation* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  CalibrateRequest calibrate{.collection = request.collection_name()};
  if (request.has_queries()) {
    ASSIGN_OR_RETURN(const CollectionSpec spec,
                     engine.DescribeCollection(request.collection_name()));
    ASSIGN_OR_RETURN(calibrate.queries, ToVectors(request.queries(), "queries", spec.dimension,
                                                  std::nullopt, limits::kCalibrationQueriesMax));
  }
  ASSIGN_OR_RETURN(const OperationInfo info, engine.Calibrate(calibrate));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleUpdateAliases(Engine& engine, v1::UpdateAliasesRequest& request,
                                 v1::UpdateAliasesResponse*) {
  if (request.actions().empty()) return InvalidField("actions", "is empty");
  RETURN_IF_ERROR(CheckAtMost("actions", static_cast<uint64_t>(request.actions_size()),
                              limits::kAliasActionsMax));
  std::vector<AliasAction> actions;
  for (const v1::Alias& action : request.actions()) {
    actions.push_back({action.alias_name(), action.collection_name()});
  }
  return engine.UpdateAliases(actions);
}

absl::Status HandleListAliases(Engine& engine, v1::ListAliasesRequest& request,
                               v1::ListAliasesResponse* response) {
  RETURN_IF_ERROR(CheckAtMost("page_size", request.page_size(), limits::kPageSizeMax));
  const std::string scope = "aliases/";
  std::string after;
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(after, DecodePageToken(request.page_token(), scope));
    after.erase(0, scope.size());
  }
  const size_t page = request.page_size() == 0 ? limits::kPageSizeDefault : request.page_size();
  for (const AliasAction& alias : engine.ListAliases(request.collection_name())) {
    if (alias.alias <= after) continue;
    const size_t taken = static_cast<size_t>(response->aliases_size());
    if (taken == page) {
      const std::string& last = response->aliases(static_cast<int>(taken - 1)).alias_name();
      response->set_next_page_token(EncodePageToken(scope + last));
      break;
    }
    v1::Alias* out = response->add_aliases();
    out->set_alias_name(alias.alias);
    out->set_collection_name(alias.collection);
  }
  return absl::OkStatus();
}

using Service = v1::Collections;
using RawService = Service::WithRawCallbackMethod_Create<
    Service::WithRawCallbackMethod_Get<Service::WithRawCallbackMethod_List<
        Service::WithRawCallbackMethod_Delete<Service::WithRawCallbackMethod_CreatePayloadIndex<
            Service::WithRawCallbackMethod_DropPayloadIndex<
                Service::WithRawCallbackMethod_UpdateAliases<
                    Service::WithRawCallbackMethod_ListAliases<
                        Service::WithRawCallbackMethod_Update<
                            Service::WithRawCallbackMethod_GetListStatistics<
                                Service::WithRawCallbackMethod_Calibrate<
                                    Service::Service>>>>>>>>>>>;

class CollectionsService final : public RawService {
 public:
  explicit CollectionsService(const ServiceEnv& env) : env_(env) {}

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Collections.Create", context, request, response},
                    HandleCreate);
  }
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request,
                                grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Collections.Get", context, request, response},
                    HandleGet);
  }
  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Collections.Update", context, request, response},
                    HandleUpdate);
  }
  grpc::ServerUnaryReactor* GetListStatistics(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* request,
                                              grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool,
                    {"Collections.GetListStatistics", context, request, response},
                    HandleGetListStatistics);
  }
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Collections.List", context, request, response},
                    HandleList);
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Collections.Delete", context, request, response},
                    HandleDelete);
  }
  grpc::ServerUnaryReactor* CreatePayloadIndex(grpc::CallbackServerContext* context,
                                               const grpc::ByteBuffer* request,
                                               grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool,
                    {"Collections.CreatePayloadIndex", context, request, response},
                    HandleCreatePayloadIndex);
  }
  grpc::ServerUnaryReactor* Calibrate(grpc::CallbackServerContext* context,
                                      const grpc::ByteBuffer* request,
                                      grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Collections.Calibrate", context, request, response},
                    HandleCalibrate);
  }
  grpc::ServerUnaryReactor* DropPayloadIndex(grpc::CallbackServerContext* context,
                                             const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool,
                    {"Collections.DropPayloadIndex", context, request, response},
                    HandleDropPayloadIndex);
  }
  grpc::ServerUnaryReactor* UpdateAliases(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool,
                    {"Collections.UpdateAliases", context, request, response}, HandleUpdateAliases);
  }
  grpc::ServerUnaryReactor* ListAliases(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Collections.ListAliases", context, request, response},
                    HandleListAliases);
  }

 private:
  const ServiceEnv& env_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewCollectionsService(const ServiceEnv& env) {
  return std::make_unique<CollectionsService>(env);
}

}  // namespace tessera
