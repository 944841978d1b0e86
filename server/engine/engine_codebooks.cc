// Trainings, calibrations and codebooks: finds the collection, and asks it, long work as an
// operation.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "index/base/status_macros.h"
#include "server/engine/engine_impl.h"

namespace tessera {

absl::StatusOr<OperationInfo> EngineImpl::Calibrate(const CalibrateRequest& request) {
  ASSIGN_OR_RETURN(auto found, Find(request.collection));
  ASSIGN_OR_RETURN(Matrix queries, found->CheckCalibrate(request.queries));
  const auto shared = std::make_shared<const Matrix>(std::move(queries));
  return operations_.Start("calibrate", found->spec().name,
                           [found, shared](Operations::Context& operation) {
                             return found->Calibrate(*shared, operation);
                           });
}

absl::StatusOr<OperationInfo> EngineImpl::Train(const TrainRequest& request) {
  ASSIGN_OR_RETURN(auto found, Find(request.collection));
  RETURN_IF_ERROR(found->CheckTrainable(request));
  return operations_.Start("train", found->spec().name,
                           [found, request](Operations::Context& operation) {
                             return found->Train(request, operation);
                           });
}

absl::StatusOr<CodebookInfo> EngineImpl::GetCodebook(const std::string& collection,
                                                     uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->GetCodebook(version);
}

absl::StatusOr<std::vector<CodebookInfo>> EngineImpl::ListCodebooks(const std::string& collection) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->ListCodebooks();
}

absl::StatusOr<OperationInfo> EngineImpl::ActivateCodebook(const std::string& collection,
                                                           uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  RETURN_IF_ERROR(found->CheckActivatable(version));
  return operations_.Start("activate_codebook", found->spec().name,
                           [found, version](Operations::Context& operation) {
                             return found->ActivateCodebook(version, operation);
                           });
}

absl::Status EngineImpl::DeleteCodebook(const std::string& collection, uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->DeleteCodebook(version);
}

absl::StatusOr<CodeRows> EngineImpl::Encode(const std::string& collection, VectorsView vectors) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->Encode(vectors);
}

absl::StatusOr<std::vector<float>> EngineImpl::Decode(const std::string& collection,
                                                      const CodeRows& codes) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->Decode(codes);
}

absl::StatusOr<std::string> EngineImpl::ExportCodebook(const std::string& collection,
                                                       uint32_t version) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  return found->ExportCodebook(version);
}

absl::StatusOr<OperationInfo> EngineImpl::ImportCodebook(const std::string& collection,
                                                         std::string bytes) {
  ASSIGN_OR_RETURN(auto found, Find(collection));
  RETURN_IF_ERROR(found->CheckRoomForCodebook());
  ASSIGN_OR_RETURN(auto codebook, found->ParseCodebook(bytes));
  return operations_.Start("import_codebook", found->spec().name,
                           [found, codebook = std::move(codebook)](Operations::Context& operation) {
                             return found->InstallCodebook(codebook, {}, operation);
                           });
}

}  // namespace tessera
