#ifndef TESSERA_SERVER_ENGINE_ERRORS_H_
#define TESSERA_SERVER_ENGINE_ERRORS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

// Statuses that carry what the RPC edge needs for google.rpc details, without knowing of RPC: a
// stable reason in UPPER_SNAKE, and where it applies the request field at fault or the resource.
namespace tessera {

// INVALID_ARGUMENT with reason INVALID_FIELD. `field` is a path in the request: "vectors.values".
absl::Status InvalidField(std::string_view field, std::string_view description);

// The status with its field, if it names one, as a part of the field `parent`: searches[3].limit.
absl::Status WithinField(std::string_view parent, const absl::Status& status);

// NOT_FOUND; `resource_type` is "collection", "point", "codebook", "operation".
absl::Status NotFound(std::string_view resource_type, std::string_view resource_name);
// Where the name of a collection is asked for.
absl::Status AliasExists(std::string_view name);
// CANCELLED, by the client.
absl::Status CallCancelled();

// A status of any code with a reason.
absl::Status ErrorWithReason(absl::StatusCode code, std::string_view reason,
                             std::string_view message);

// The status with `reason` attached, its message kept. OK stays OK.
absl::Status WithReason(absl::Status status, std::string_view reason);

// ABORTED with reason MUST_WAIT: what must not wait for the disk cannot go on. Never leaves the
// server.
absl::Status MustWaitError();
bool MustWait(const absl::Status& status);

struct StatusDetails {
  std::string reason;  // empty: none was attached
  std::string field;
  std::string resource_type;
  std::string resource_name;
};
StatusDetails GetStatusDetails(const absl::Status& status);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_ERRORS_H_
