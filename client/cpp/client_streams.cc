// The calls of Client that stream.
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/call_setup.h"
#include "client/cpp/client.h"
#include "client/cpp/client_stubs.h"
#include "client/cpp/error_details.h"

namespace tessera {

absl::Status Client::ExportCodebook(std::string_view collection_name, uint32_t version,
                                    const ChunkSink& sink) {
  v1::ExportCodebookRequest request;
  request.set_collection_name(std::string(collection_name));
  request.set_version(version);
  grpc::ClientContext context;
  Prepare(context, absl::InfiniteDuration(), options_.api_key);
  auto reader = stubs_->codebooks->Export(&context, request);
  v1::ExportCodebookResponse response;
  absl::Status sunk;
  while (sunk.ok() && reader->Read(&response)) sunk = sink(response.chunk());
  if (!sunk.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  return sunk.ok() ? ToAbslStatus(status) : sunk;
}

absl::StatusOr<v1::Operation> Client::ImportCodebook(std::string_view collection_name,
                                                     const ChunkSource& source) {
  grpc::ClientContext context;
  Prepare(context, absl::InfiniteDuration(), options_.api_key);
  v1::Operation operation;
  auto writer = stubs_->codebooks->Import(&context, &operation);
  v1::ImportCodebookRequest request;
  request.set_collection_name(std::string(collection_name));
  absl::Status sourced;
  for (bool first = true;; first = false) {
    absl::StatusOr<std::string> chunk = source();
    if (!chunk.ok()) {
      sourced = chunk.status();
      context.TryCancel();
      break;
    }
    // An empty source still sends one message, so that the server can say what is wrong with it.
    if (chunk->empty() && !first) break;
    const bool last = chunk->empty();
    request.set_chunk(*std::move(chunk));
    if (!writer->Write(request) || last) break;  // a failed write: Finish has the reason
    request.clear_collection_name();
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!sourced.ok()) return sourced;
  if (!status.ok()) return ToAbslStatus(status);
  return operation;
}

absl::StatusOr<v1::Operation> Client::WaitOperation(std::string_view operation_id,
                                                    const ProgressCallback& on_progress,
                                                    absl::Duration timeout) {
  v1::WatchOperationRequest request;
  request.set_operation_id(std::string(operation_id));
  grpc::ClientContext context;
  Prepare(context, timeout, options_.api_key);
  auto reader = stubs_->operations->Watch(&context, request);
  v1::Operation operation;
  while (reader->Read(&operation)) {
    if (on_progress) on_progress(operation);
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return ToAbslStatus(status);
  switch (operation.state()) {
    case v1::SUCCEEDED:
      return operation;
    case v1::FAILED: {
      absl::Status error = ToAbslStatus(operation.error());
      if (!error.ok()) return error;
      return absl::UnknownError(
          absl::StrCat("operation ", operation.operation_id(), " failed without saying why"));
    }
    case v1::CANCELLED:
      return absl::CancelledError(
          absl::StrCat("operation ", operation.operation_id(), " was cancelled"));
    default:
      return absl::InternalError(absl::StrCat("the watch of operation ", request.operation_id(),
                                              " ended before the operation"));
  }
}

}  // namespace tessera
