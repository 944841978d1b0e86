#ifndef TESSERA_CLIENT_CPP_ERROR_DETAILS_H_
#define TESSERA_CLIENT_CPP_ERROR_DETAILS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace tessera {

// The google.rpc details of an error, decoded.
struct ErrorDetails {
  struct FieldViolation {
    std::string field;        // path in the request, e.g. "vectors.data"
    std::string description;  // what is wrong with it
  };

  std::string reason;  // ErrorInfo: stable, UPPER_SNAKE; empty if the server sent none
  std::string domain;
  std::map<std::string, std::string> metadata;
  std::vector<FieldViolation> field_violations;  // BadRequest
  std::optional<absl::Duration> retry_delay;     // RetryInfo: trying again after it may help
};

// The same code and message; the details travel along as a payload of the absl::Status.
absl::Status ToAbslStatus(const grpc::Status& status);

// As above, for a status that arrived inside a message (the error of an operation).
absl::Status ToAbslStatus(const google::rpc::Status& status);

// The details that ToAbslStatus attached. All empty if there are none or they do not parse.
ErrorDetails GetErrorDetails(const absl::Status& status);

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_ERROR_DETAILS_H_
