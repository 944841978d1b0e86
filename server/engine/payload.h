#ifndef TESSERA_SERVER_ENGINE_PAYLOAD_H_
#define TESSERA_SERVER_ENGINE_PAYLOAD_H_

#include <string_view>

#include "absl/status/status.h"

namespace tessera {

// OK if `json` is one JSON object (RFC 8259) in valid UTF-8, of at most kPayloadBytesMax bytes,
// nested at most kPayloadDepthMax deep, with all numbers inside the range of a double. Else
// INVALID_ARGUMENT; the message reads on from the name of the field at fault, names the byte
// (counted from 0) and holds nothing of the payload: "byte 17: syntax error in JSON".
// Thread-safe; the work is one pass over the bytes, whatever they are.
absl::Status ValidatePayload(std::string_view json);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_PAYLOAD_H_
