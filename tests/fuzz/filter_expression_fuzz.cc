#include <cstdint>
#include <string_view>

#include "client/cli/filter_expression.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto filter = tessera::cli::ParseFilter({reinterpret_cast<const char*>(data), size});
  if (filter.ok()) {
    FUZZ_CHECK(filter->must_size() + filter->should_size() + filter->must_not_size() > 0);
  } else {
    FUZZ_CHECK(filter.status().code() == absl::StatusCode::kInvalidArgument);
  }
  return 0;
}
