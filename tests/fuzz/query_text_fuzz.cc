// What users type: vectors, ranges of rows and ids.
#include <cstdint>
#include <string>

#include "client/cli/files/id_source.h"
#include "client/cli/format.h"
#include "client/cli/query_source.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto vector = tessera::cli::ParseVector(text);
  if (vector.ok()) {
    FUZZ_CHECK(vector->dimension >= 1);
    FUZZ_CHECK(vector->data.size() == vector->dimension * sizeof(float));
  }
  const auto range = tessera::cli::ParseRowRange(text);
  if (range.ok()) FUZZ_CHECK(range->begin < range->end);
  uint64_t id = 0;
  if (tessera::cli::ParseUint64(text, &id)) {
    // Leading zeros aside, the number is the text.
    const std::string digits = std::to_string(id);
    FUZZ_CHECK(text.size() >= digits.size() && text.ends_with(digits));
  }
  for (const size_t columns : {0, 1, 3, 10}) {
    const std::string shown = tessera::cli::Ellipsize(tessera::cli::Printable(text), columns);
    FUZZ_CHECK(tessera::cli::DisplayWidth(shown) <= columns);
  }
  return 0;
}
