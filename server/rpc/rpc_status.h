#ifndef TESSERA_SERVER_RPC_RPC_STATUS_H_
#define TESSERA_SERVER_RPC_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace tessera {

// The status as clients see it: code, message, and as details
//   ErrorInfo     always: a stable reason, domain "tessera";
//   BadRequest    if a field of the request is at fault;
//   ResourceInfo  if a resource is missing or in the way;
//   RetryInfo     for UNAVAILABLE and RESOURCE_EXHAUSTED, where trying again later helps.
// Texts are cut to limits::kErrorMessageBytesMax and are always valid UTF-8.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// The same for the wire: the details serialized into grpc-status-details-bin.
grpc::Status ToGrpcStatus(const absl::Status& status);

// `text`, at most `bytes_max` of it, with every byte that is not valid UTF-8 replaced by '?'.
std::string PrintableText(std::string_view text, size_t bytes_max);

// The length of the longest prefix of `text` that is valid UTF-8.
size_t ValidUtf8Prefix(std::string_view text);

// The refusals that the edge makes itself.
absl::Status ServerStartingError();  // UNAVAILABLE, SERVER_STARTING
absl::Status ServerStoppingError();  // UNAVAILABLE, SERVER_STOPPING
absl::Status ServerBusyError();      // RESOURCE_EXHAUSTED, SERVER_BUSY

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_RPC_STATUS_H_
