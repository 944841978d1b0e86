#include "server/rpc/operations_service.h"

#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/watch_stream.h"
#include "tessera/v1/operations.grpc.pb.h"

namespace tessera {
namespace {

absl::Status HandleGet(Engine& engine, v1::GetOperationRequest& request, v1::Operation* response) {
  RETURN_IF_ERROR(CheckOperationId(request.operation_id()));
  ASSIGN_OR_RETURN(const OperationInfo info, engine.GetOperation(request.operation_id()));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleList(Engine& engine, v1::ListOperationsRequest& request,
                        v1::ListOperationsResponse* response) {
  if (!request.collection_name().empty()) {
    RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  }
  for (const OperationInfo& info : engine.ListOperations(request.collection_name())) {
    FromOperationInfo(info, response->add_operations());
  }
  return absl::OkStatus();
}

absl::Status HandleCancel(Engine& engine, v1::CancelOperationRequest& request,
                          v1::Operation* response) {
  RETURN_IF_ERROR(CheckOperationId(request.operation_id()));
  ASSIGN_OR_RETURN(const OperationInfo info, engine.CancelOperation(request.operation_id()));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

using Service = v1::Operations;
using RawService = Service::WithRawCallbackMethod_Get<Service::WithRawCallbackMethod_List<
    Service::WithRawCallbackMethod_Watch<Service::WithRawCallbackMethod_Cancel<Service::Service>>>>;

class OperationsService final : public RawService {
 public:
  explicit OperationsService(const ServiceEnv& env) : env_(env) {}

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request,
                                grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Operations.Get", context, request, response},
                    HandleGet);
  }
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Operations.List", context, request, response},
                    HandleList);
  }
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext*,
                                                    const grpc::ByteBuffer* request) override {
    return StartWatchStream(env_, request);
  }
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Operations.Cancel", context, request, response},
                    HandleCancel);
  }

 private:
  const ServiceEnv& env_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewOperationsService(const ServiceEnv& env) {
  return std::make_unique<OperationsService>(env);
}

}  // namespace tessera
