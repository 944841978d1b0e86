#include <cstdint>
#include <string_view>

#include "client/cli/files/npy_header.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = tessera::cli::ParseNpyHeader(bytes);
  if (!header.ok()) {
    FUZZ_CHECK(header.status().code() == absl::StatusCode::kInvalidArgument);
    FUZZ_CHECK(!header.status().message().empty());
    return 0;
  }
  FUZZ_CHECK(header->data_offset >= 10);
  FUZZ_CHECK(header->data_offset <= size);
  // What follows the header does not change it.
  const auto alone = tessera::cli::ParseNpyHeader(bytes.substr(0, header->data_offset));
  FUZZ_CHECK(alone.ok());
  FUZZ_CHECK(alone->shape == header->shape && alone->descr == header->descr);
  return 0;
}
