#include "server/rpc/codebooks_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/engine/page_token.h"
#include "server/rpc/codebook_export.h"
#include "server/rpc/codebook_import.h"
#include "server/rpc/convert_codebooks.h"
#include "server/rpc/convert_operations.h"
#include "server/rpc/convert_types.h"
#include "server/rpc/unary_call.h"
#include "tessera/v1/codebooks.grpc.pb.h"

namespace tessera {
namespace {

absl::Status HandleTrain(Engine& engine, v1::TrainRequest& request, v1::Operation* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  RETURN_IF_ERROR(CheckAtMost("nlist", request.nlist(), limits::kListsMax));
  ASSIGN_OR_RETURN(const OperationInfo info, engine.Train(ToTrainRequest(request)));
  FromOperationInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleGet(Engine& engine, v1::GetCodebookRequest& request, v1::Codebook* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CodebookInfo info,
                   engine.GetCodebook(request.collection_name(), request.version()));
  FromCodebookInfo(info, response);
  return absl::OkStatus();
}

absl::Status HandleList(Engine& engine, v1::ListCodebooksRequest& request,
                        v1::ListCodebooksResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  RETURN_IF_ERROR(CheckAtMost("page_size", request.page_size(), limits::kPageSizeMax));
  const std::string scope = absl::StrCat("codebooks/", request.collection_name(), "/");
  uint64_t after = 0;
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const std::string key, DecodePageToken(request.page_token(), scope));
    if (!absl::SimpleAtoi(key.substr(scope.size()), &after)) {
      return InvalidField("page_token", "is not a token of an earlier page");
    }
  }
  const size_t page = request.page_size() == 0 ? limits::kPageSizeDefault : request.page_size();
  ASSIGN_OR_RETURN(const std::vector<CodebookInfo> infos,
                   engine.ListCodebooks(request.collection_name()));
  uint64_t last = 0;
  for (const CodebookInfo& info : infos) {
    if (info.version <= after) continue;
    if (static_cast<size_t>(response->codebooks_size()) == page) {
      response->set_next_page_token(EncodePageToken(absl::StrCat(scope, last)));
      break;
    }
    FromCodebookInfo(info, response->add_codebooks());
    last = info.version;
  }
  return absl::OkStatus();
}

absl::Status HandleActivate(Engine& engine, v1::ActivateCodebookRequest& request,
                            v1::Operation* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const OperationInfo operation,
                   engine.ActivateCodebook(request.collection_name(), request.version()));
  FromOperationInfo(operation, response);
  return absl::OkStatus();
}

absl::Status HandleDelete(Engine& engine, v1::DeleteCodebookRequest& request,
                          v1::DeleteCodebookResponse*) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  return engine.DeleteCodebook(request.collection_name(), request.version());
}

absl::Status HandleEncode(Engine& engine, v1::EncodeRequest& request,
                          v1::EncodeResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CollectionSpec spec, engine.DescribeCollection(request.collection_name()));
  ASSIGN_OR_RETURN(const VectorsView vectors,
                   ToVectors(request.vectors(), "vectors", spec.dimension, std::nullopt,
                             limits::kEncodeVectorsMax));
  ASSIGN_OR_RETURN(CodeRows rows, engine.Encode(request.collection_name(), vectors));
  FromCodeRows(std::move(rows), response);
  return absl::OkStatus();
}

absl::Status HandleDecode(Engine& engine, v1::DecodeRequest& request,
                          v1::DecodeResponse* response) {
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  ASSIGN_OR_RETURN(const CollectionSpec spec, engine.DescribeCollection(request.collection_name()));
  ASSIGN_OR_RETURN(const CodeRows rows, ToCodeRows(*request.mutable_codes()));
  RETURN_IF_ERROR(CheckAtMost("codes.lists", rows.lists.size(),
                              limits::kMessageBytesMax / (spec.dimension * sizeof(float))));
  ASSIGN_OR_RETURN(const std::vector<float> values, engine.Decode(request.collection_name(), rows));
  FromFloats(values, response->mutable_vectors());
  return absl::OkStatus();
}

using Service = v1::Codebooks;
using RawService = Service::WithRawCallbackMethod_Train<Service::WithRawCallbackMethod_Get<
    Service::WithRawCallbackMethod_List<Service::WithRawCallbackMethod_Encode<
        Service::WithRawCallbackMethod_Decode<Service::WithRawCallbackMethod_Export<
            Service::WithRawCallbackMethod_Import<Service::WithRawCallbackMethod_Activate<
                Service::WithRawCallbackMethod_Delete<Service::Service>>>>>>>>>;

class CodebooksService final : public RawService {
 public:
  explicit CodebooksService(const ServiceEnv& env) : env_(env) {}

  grpc::ServerUnaryReactor* Train(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Codebooks.Train", context, request, response},
                    HandleTrain);
  }
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request,
                                grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Codebooks.Get", context, request, response},
                    HandleGet);
  }
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Codebooks.List", context, request, response},
                    HandleList);
  }
  grpc::ServerUnaryReactor* Activate(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Codebooks.Activate", context, request, response},
                    HandleActivate);
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.admin_pool, {"Codebooks.Delete", context, request, response},
                    HandleDelete);
  }
  grpc::ServerUnaryReactor* Encode(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Codebooks.Encode", context, request, response},
                    HandleEncode);
  }
  grpc::ServerUnaryReactor* Decode(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Codebooks.Decode", context, request, response},
                    HandleDecode);
  }
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Export(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* request) override {
    return StartCodebookExport(env_, export_bytes_, *context, request);
  }
  grpc::ServerReadReactor<grpc::ByteBuffer>* Import(grpc::CallbackServerContext* context,
                                                    grpc::ByteBuffer* response) override {
    return StartCodebookImport(env_, import_bytes_, *context, response);
  }

 private:
  const ServiceEnv& env_;
  CodebookBudget import_bytes_, export_bytes_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewCodebooksService(const ServiceEnv& env) {
  return std::make_unique<CodebooksService>(env);
}

}  // namespace tessera
