// The details of an error, as any server may send them.
#include <cstdint>
#include <string>

#include "client/cpp/error_details.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const absl::Status status =
      tessera::ToAbslStatus(grpc::Status(grpc::StatusCode::INTERNAL, "message", bytes));
  FUZZ_CHECK(status.code() == absl::StatusCode::kInternal);
  FUZZ_CHECK(status.message() == "message");
  tessera::GetErrorDetails(status);
  google::rpc::Status message;
  if (message.ParseFromString(bytes)) {
    const absl::Status inner = tessera::ToAbslStatus(message);
    FUZZ_CHECK(inner.ok() == (message.code() == 0));
  }
  return 0;
}
