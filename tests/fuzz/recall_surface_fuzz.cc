#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "index/base/limits.h"
#include "index/tune/recall_surface.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto surface = tessera::RecallSurface::Parse(bytes);
  if (!surface.ok()) {
    FUZZ_CHECK(surface.status().code() == absl::StatusCode::kDataLoss);
    return 0;
  }
  FUZZ_CHECK(surface->Serialize() == bytes);
  // Whatever it says: no depth is out of bounds, and no share.
  for (const uint64_t k : {1, 7, 10, 500, 1000}) {
    for (const double target : {0.01, 0.5, 0.99}) {
      const auto depth = surface->Cheapest(k, target, {.list_ns = 10, .candidate_ns = 20});
      if (!depth.has_value()) continue;
      FUZZ_CHECK(depth->nprobe >= 1 && depth->nprobe <= tessera::limits::kListsMax);
      FUZZ_CHECK(depth->rerank >= k && depth->rerank <= tessera::limits::kRerankMax);
    }
    const auto share = surface->Share(k, {.nprobe = 5, .rerank = 30});
    FUZZ_CHECK(!share.has_value() || (*share >= -1e-6 && *share <= 1 + 1e-6));
  }
  return 0;
}
