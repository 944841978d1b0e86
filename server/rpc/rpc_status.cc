#include "server/rpc/rpc_status.h"

#include <cstdint>

#include "google/rpc/error_details.pb.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

constexpr char kDomain[] = "tessera";

// How long a client should wait, in milliseconds; 0: trying again does not help.
int64_t RetryDelayMs(const absl::Status& status, const std::string& reason) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return 1'000;
    // A full queue empties in a moment; a full disk does not.
    case absl::StatusCode::kResourceExhausted:
      return reason == "SERVER_BUSY" ? 100 : 5'000;
    default:
      return 0;
  }
}

// The length of the UTF-8 sequence at the front of `text`, 0 if there is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  size_t length = 0;
  uint32_t code_point = 0;
  uint32_t smallest = 0;
  if ((lead & 0xE0) == 0xC0) {
    length = 2, code_point = lead & 0x1F, smallest = 0x80;
  } else if ((lead & 0xF0) == 0xE0) {
    length = 3, code_point = lead & 0x0F, smallest = 0x800;
  } else if ((lead & 0xF8) == 0xF0) {
    length = 4, code_point = lead & 0x07, smallest = 0x10000;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return code_point < smallest || code_point > 0x10FFFF || surrogate ? 0 : length;
}

}  // namespace

size_t ValidUtf8Prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = SequenceLength(text.substr(at));
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::string PrintableText(std::string_view text, size_t bytes_max) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = SequenceLength(text.substr(at));
    const std::string_view piece = length == 0 ? "?" : text.substr(at, length);
    if (out.size() + piece.size() > bytes_max) break;
    out.append(piece);
    at += length == 0 ? 1 : length;
  }
  return out;
}

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status rpc;
  rpc.set_code(static_cast<int>(status.code()));
  if (status.ok()) return rpc;
  const std::string message = PrintableText({status.message().data(), status.message().size()},
                                            limits::kErrorMessageBytesMax);
  rpc.set_message(message);

  const StatusDetails details = GetStatusDetails(status);
  google::rpc::ErrorInfo info;
  info.set_reason(details.reason.empty() ? absl::StatusCodeToString(status.code())
                                         : details.reason);
  info.set_domain(kDomain);
  rpc.add_details()->PackFrom(info);
  if (!details.field.empty()) {
    google::rpc::BadRequest bad_request;
    auto* violation = bad_request.add_field_violations();
    violation->set_field(details.field);
    violation->set_description(message);
    rpc.add_details()->PackFrom(bad_request);
  }
  if (!details.resource_type.empty()) {
    google::rpc::ResourceInfo resource;
    resource.set_resource_type(details.resource_type);
    resource.set_resource_name(PrintableText(details.resource_name, limits::kErrorMessageBytesMax));
    rpc.add_details()->PackFrom(resource);
  }
  if (const int64_t delay_ms = RetryDelayMs(status, details.reason); delay_ms > 0) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(delay_ms / 1'000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(delay_ms % 1'000 * 1'000'000));
    rpc.add_details()->PackFrom(retry);
  }
  return rpc;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(rpc.code()), rpc.message(),
                      rpc.SerializeAsString());
}

absl::Status ServerStartingError() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, "SERVER_STARTING",
                         "the server is still recovering its collections");
}

absl::Status ServerStoppingError() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, "SERVER_STOPPING",
                         "the server is shutting down");
}

absl::Status ServerBusyError() {
  return ErrorWithReason(absl::StatusCode::kResourceExhausted, "SERVER_BUSY",
                         "too many requests are waiting");
}

}  // namespace tessera
