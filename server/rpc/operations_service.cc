#include "server/rpc/operations_service.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/engine/page_token.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/watch_stream.h"
#include "tessera/v1/operations.grpc.pb.h"

namespace tessera {
namespace {

// Of a page token of the list, before the number of the last operation.
constexpr char kPageScope[] = "operations/";

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
  RETURN_IF_ERROR(CheckAtMost("page_size", request.page_size(), limits::kPageSizeMax));
  uint64_t before = std::numeric_limits<uint64_t>::max();
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const std::string key, DecodePageToken(request.page_token(), kPageScope));
    if (!absl::SimpleAtoi(key.substr(sizeof(kPageScope) - 1), &before)) {
      return InvalidField("page_token", "is not a token of an earlier page");
    }
  }
  const size_t page = request.page_size() == 0 ? limits::kPageSizeDefault : request.page_size();
  uint64_t last = 0;
  for (const OperationInfo& info : engine.ListOperations(request.collection_name())) {
    if (info.number >= before) continue;
    if (static_cast<size_t>(response->operations_size()) == page) {
      response->set_next_page_token(EncodePageToken(absl::StrCat(kPageScope, last)));
      break;
    }
    FromOperationInfo(info, response->add_operations());
    last = info.number;
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
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* request) override {
    return StartWatchStream(env_, *context, request);
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
