#include "server/rpc/snapshots_service.h"

#include <string>
#include <vector>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_snapshots.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/unary_call.h"
#include "tessera/v1/snapshots.grpc.pb.h"

namespace tessera {
namespace {

absl::Status HandleCreate(Engine& engine, v1::CreateSnapshotRequest& request,
                          v1::Operation* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const OperationInfo info, engine.snapshots().Create(request.collection_name()));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleList(Engine& engine, v1::ListSnapshotsRequest& request,
                        v1::ListSnapshotsResponse* response) {
  RETURN_IF_ERROR(CheckAtMost("page_size", request.page_size(), limits::kPageSizeMax));
  ASSIGN_OR_RETURN(const std::string after, FromSnapshotsToken(request.page_token()));
  const size_t page = request.page_size() == 0 ? limits::kPageSizeDefault : request.page_size();
  // One more than the page holds tells whether there is a next one.
  ASSIGN_OR_RETURN(const std::vector<SnapshotInfo> infos, engine.snapshots().List(after, page + 1));
  for (size_t i = 0; i < infos.size() && i < page; ++i) {
    FromSnapshotInfo(infos[i], response->add_snapshots());
  }
  if (infos.size() > page) response->set_next_page_token(ToSnapshotsToken(infos[page - 1].id));
  return absl::OkStatus();
}

absl::Status HandleGet(Engine& engine, v1::GetSnapshotRequest& request, v1::Snapshot* response) {
  RETURN_IF_ERROR(CheckSnapshotId(request.snapshot_id()));
  ASSIGN_OR_RETURN(const SnapshotInfo info, engine.snapshots().Get(request.snapshot_id()));
  FromSnapshotInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleVerify(Engine& engine, v1::VerifySnapshotRequest& request,
                          v1::Operation* response) {
  RETURN_IF_ERROR(CheckSnapshotId(request.snapshot_id()));
  ASSIGN_OR_RETURN(const OperationInfo info, engine.snapshots().Verify(request.snapshot_id()));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleDelete(Engine& engine, v1::DeleteSnapshotRequest& request,
                          v1::DeleteSnapshotResponse*) {
  RETURN_IF_ERROR(CheckSnapshotId(request.snapshot_id()));
  return engine.snapshots().Delete(request.snapshot_id());
}

absl::Status HandleRestore(Engine& engine, v1::RestoreSnapshotRequest& request,
                           v1::Operation* response) {
  RETURN_IF_ERROR(CheckSnapshotId(request.snapshot_id()));
  if (!request.collection_name().empty()) {
    RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  }
  ASSIGN_OR_RETURN(const OperationInfo info,
                   engine.snapshots().Restore({.snapshot_id = request.snapshot_id(),
                                               .collection = request.collection_name(),
                                               .replace = request.replace()}));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

using Service = v1::Snapshots;
using RawService = Service::WithRawCallbackMethod_Create<
    Service::WithRawCallbackMethod_List<Service::WithRawCallbackMethod_Get<
        Service::WithRawCallbackMethod_Verify<Service::WithRawCallbackMethod_Delete<
            Service::WithRawCallbackMethod_Restore<Service::Service>>>>>>;

class SnapshotsService final : public RawService {
 public:
  explicit SnapshotsService(const ServiceEnv& env) : env_(env) {}

  grpc::ServerUnaryReactor* Create(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Snapshots.Create", context, request, response},
                    HandleCreate);
  }
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Snapshots.List", context, request, response},
                    HandleList);
  }
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request,
                                grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Snapshots.Get", context, request, response},
                    HandleGet);
  }
  grpc::ServerUnaryReactor* Verify(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Snapshots.Verify", context, request, response},
                    HandleVerify);
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Snapshots.Delete", context, request, response},
                    HandleDelete);
  }
  grpc::ServerUnaryReactor* Restore(grpc::CallbackServerContext* context,
                                    const grpc::ByteBuffer* request,
                                    grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Snapshots.Restore", context, request, response},
                    HandleRestore);
  }

 private:
  const ServiceEnv& env_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewSnapshotsService(const ServiceEnv& env) {
  return std::make_unique<SnapshotsService>(env);
}

}  // namespace tessera
