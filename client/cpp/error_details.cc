#include "client/cpp/error_details.h"

#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/types/optional.h"
#include "google/rpc/error_details.pb.h"

namespace tessera {
namespace {

constexpr char kDetailsUrl[] = "type.googleapis.com/google.rpc.Status";

// gRPC and absl share the numbers of the canonical codes; any other number is kUnknown.
absl::StatusCode ToAbslCode(int code) {
  if (code < 0 || code > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    return absl::StatusCode::kUnknown;
  }
  return static_cast<absl::StatusCode>(code);
}

absl::Status MakeStatus(int code, const std::string& message, std::string details) {
  if (code == 0) return absl::OkStatus();
  absl::Status result(ToAbslCode(code), message);
  if (!details.empty()) result.SetPayload(kDetailsUrl, absl::Cord(std::move(details)));
  return result;
}

}  // namespace

absl::Status ToAbslStatus(const grpc::Status& status) {
  return MakeStatus(static_cast<int>(status.error_code()), status.error_message(),
                    status.error_details());
}

absl::Status ToAbslStatus(const google::rpc::Status& status) {
  return MakeStatus(status.code(), status.message(), status.SerializeAsString());
}

ErrorDetails GetErrorDetails(const absl::Status& status) {
  ErrorDetails result;
  const absl::optional<absl::Cord> payload = status.GetPayload(kDetailsUrl);
  google::rpc::Status message;
  if (!payload.has_value() || !message.ParseFromString(std::string(*payload))) return result;
  for (const google::protobuf::Any& detail : message.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&info)) {
      result.reason = info.reason();
      result.domain = info.domain();
      result.metadata = {info.metadata().begin(), info.metadata().end()};
    } else if (detail.UnpackTo(&bad_request)) {
      for (const auto& violation : bad_request.field_violations()) {
        result.field_violations.push_back({violation.field(), violation.description()});
      }
    } else if (detail.UnpackTo(&retry)) {
      result.retry_delay = absl::Seconds(retry.retry_delay().seconds()) +
                           absl::Nanoseconds(retry.retry_delay().nanos());
    }
  }
  return result;
}

}  // namespace tessera
