#ifndef TESSERA_SERVER_RPC_REQUEST_PARSER_H_
#define TESSERA_SERVER_RPC_REQUEST_PARSER_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "google/protobuf/message.h"

namespace tessera {

// Requests reach the services as bytes and are parsed here, on a worker's thread: gRPC itself
// would answer a message that it cannot parse with UNIMPLEMENTED and no reason.

// Parses and empties `buffer`. INVALID_ARGUMENT names the string that is not UTF-8 ("ids.str[3]")
// or the message that is too deep, or the field with which there are more than
// limits::kMessageElementsMax messages and strings, or says that the bytes are no message of this
// type.
absl::Status ParseRequest(grpc::ByteBuffer* buffer, google::protobuf::Message* message);

// Serializes a response. INVALID_ARGUMENT with reason RESPONSE_TOO_LARGE if it is over
// limits::kMessageBytesMax.
absl::Status SerializeResponse(const google::protobuf::Message& message, grpc::ByteBuffer* buffer);

// For the arena that a response is built on: blocks sized for answers, not for single messages.
google::protobuf::ArenaOptions ResponseArenaOptions();

// A field for which Protobuf refuses a message.
struct FieldFault {
  std::string path;
  std::string problem;
};

// The first string in the serialized message that is not valid UTF-8, or message that lies deeper
// than Protobuf reads; nullopt if there is none or the bytes are damaged before it.
std::optional<FieldFault> FindFieldFault(std::string_view bytes,
                                         const google::protobuf::Descriptor& type);

// The field ("searches") with which the serialized message of `size` bytes has more than
// `elements_max` messages, strings and varints, packed ones counted as one for eight bytes; nullopt
// if none or the bytes are damaged before it. Two bytes of a message may take a hundred when it is
// parsed.
std::optional<std::string> FindTooManyElements(google::protobuf::io::ZeroCopyInputStream* bytes,
                                               size_t size,
                                               const google::protobuf::Descriptor& type,
                                               size_t elements_max);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_REQUEST_PARSER_H_
