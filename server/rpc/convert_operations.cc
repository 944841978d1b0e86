#include "server/rpc/convert_operations.h"

#include "server/rpc/convert_types.h"
#include "server/rpc/rpc_status.h"

namespace tessera {
namespace {

v1::OperationState FromState(OperationState state) {
  switch (state) {
    case OperationState::kRunning:
      return v1::RUNNING;
    case OperationState::kSucceeded:
      return v1::SUCCEEDED;
    case OperationState::kFailed:
      return v1::FAILED;
    case OperationState::kCancelled:
      return v1::CANCELLED;
  }
  return v1::OPERATION_STATE_UNSPECIFIED;
}

}  // namespace

void FromOperationInfo(const OperationInfo& info, v1::Operation* out) {
  out->set_operation_id(info.id);
  out->set_kind(info.kind);
  out->set_collection_name(info.collection);
  out->set_state(FromState(info.state));
  out->set_phase(info.phase);
  out->set_done(info.done);
  out->set_total(info.total);
  if (info.state == OperationState::kFailed) *out->mutable_error() = ToRpcStatus(info.error);
  if (info.start_time_ms != 0) FromTimeMs(info.start_time_ms, out->mutable_start_time());
  if (info.end_time_ms != 0) FromTimeMs(info.end_time_ms, out->mutable_end_time());
  out->set_codebook_version(info.codebook_version);
  out->set_snapshot_id(info.snapshot_id);
}

}  // namespace tessera
