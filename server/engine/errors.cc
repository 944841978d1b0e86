#include "server/engine/errors.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/storage/store.h"

namespace tessera {
namespace {

constexpr std::string_view kMustWait = "MUST_WAIT";
constexpr char kFieldUrl[] = "tessera/error.field";
constexpr char kResourceTypeUrl[] = "tessera/error.resource_type";
constexpr char kResourceNameUrl[] = "tessera/error.resource_name";

void Attach(absl::Status& status, const char* url, std::string_view value) {
  status.SetPayload(url, absl::Cord(absl::string_view(value.data(), value.size())));
}

std::string Attached(const absl::Status& status, const char* url) {
  const auto payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status InvalidField(std::string_view field, std::string_view description) {
  absl::Status status =
      ErrorWithReason(absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
                      absl::StrCat(std::string(field), ": ", std::string(description)));
  Attach(status, kFieldUrl, field);
  return status;
}

absl::Status WithinField(std::string_view parent, const absl::Status& status) {
  const std::string field = Attached(status, kFieldUrl);
  if (field.empty()) return status;
  std::string_view description(status.message().data(), status.message().size());
  if (description.starts_with(field + ": ")) description.remove_prefix(field.size() + 2);
  return InvalidField(absl::StrCat(std::string(parent), ".", field), description);
}

absl::Status CallCancelled() { return absl::CancelledError("the client has cancelled the call"); }

absl::Status AliasExists(std::string_view name) {
  return ErrorWithReason(absl::StatusCode::kAlreadyExists, "ALIAS_EXISTS",
                         absl::StrCat(std::string(name), " is an alias"));
}

absl::Status NotFound(std::string_view resource_type, std::string_view resource_name) {
  absl::Status status = ErrorWithReason(absl::StatusCode::kNotFound, "NOT_FOUND",
                                        absl::StrCat("there is no ", std::string(resource_type),
                                                     " '", std::string(resource_name), "'"));
  Attach(status, kResourceTypeUrl, resource_type);
  Attach(status, kResourceNameUrl, resource_name);
  return status;
}

absl::Status ErrorWithReason(absl::StatusCode code, std::string_view reason,
                             std::string_view message) {
  return WithReason(absl::Status(code, absl::string_view(message.data(), message.size())), reason);
}

absl::Status WithReason(absl::Status status, std::string_view reason) {
  if (!status.ok()) Attach(status, kErrorReasonUrl, reason);
  return status;
}

absl::Status MustWaitError() {
  return ErrorWithReason(absl::StatusCode::kAborted, kMustWait, "a vector is on the disk");
}

bool MustWait(const absl::Status& status) {
  return absl::IsAborted(status) && GetStatusDetails(status).reason == kMustWait;
}

StatusDetails GetStatusDetails(const absl::Status& status) {
  return {.reason = Attached(status, kErrorReasonUrl),
          .field = Attached(status, kFieldUrl),
          .resource_type = Attached(status, kResourceTypeUrl),
          .resource_name = Attached(status, kResourceNameUrl)};
}

}  // namespace tessera
