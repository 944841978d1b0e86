#include "server/rpc/service_env.h"

#include "index/base/status_macros.h"
#include "server/rpc/call_access.h"

namespace tessera {

absl::Status ServiceEnv::MayCall(std::string_view method,
                                 const grpc::CallbackServerContext& context) const {
  return secrets == nullptr ? absl::OkStatus() : CheckAccess(*secrets, method, context);
}

absl::StatusOr<Engine*> ServiceEnv::Admit(std::string_view method,
                                          const grpc::CallbackServerContext& context) const {
  RETURN_IF_ERROR(MayCall(method, context));
  return engine.Get();
}

void ServiceEnv::NoteEnd(std::string_view method, const CallCounter::Hold& hold,
                         const absl::Status& status) const {
  if (stats != nullptr) stats->Record(method, status.code(), hold.age());
  Note(method, status);
}

void ServiceEnv::Note(std::string_view method, const absl::Status& status) const {
  const bool fault = status.code() == absl::StatusCode::kInternal ||
                     status.code() == absl::StatusCode::kUnknown ||
                     status.code() == absl::StatusCode::kDataLoss;
  if (fault && on_fault) on_fault(method, status);
}

}  // namespace tessera
