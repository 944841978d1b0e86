#include "server/engine/search_parts.h"

#include <algorithm>

#include "absl/synchronization/mutex.h"

namespace tessera {
namespace {

// Some half a millisecond, and some eight.
constexpr size_t kPartBytesLeast = size_t{4} << 20;
constexpr size_t kPartBytesMost = size_t{64} << 20;
// Whoever comes late leaves no more than a part to the others.
constexpr size_t kPartsPerThread = 2;

size_t ItemsOfPart(size_t n, size_t item_bytes, size_t threads) {
  const size_t least = (kPartBytesLeast + item_bytes - 1) / item_bytes;
  const size_t most = kPartBytesMost / item_bytes;
  const size_t parts = threads > 1 ? threads * kPartsPerThread : 1;
  return std::max(least, std::min(most, (n + parts - 1) / parts));
}

}  // namespace

absl::Status ForEachPart(Executor* executor, size_t n, size_t item_bytes,
                         absl::FunctionRef<absl::Status(size_t begin, size_t end)> body) {
  if (executor == nullptr || n * item_bytes < 2 * kPartBytesLeast) return body(0, n);
  const size_t items = ItemsOfPart(n, std::max<size_t>(item_bytes, 1), executor->Parallelism());
  absl::Mutex mutex;
  absl::Status status;
  executor->ParallelFor(n, items, [&](size_t begin, size_t end) {
    const absl::Status of_part = body(begin, end);
    if (of_part.ok()) return;
    absl::MutexLock lock(&mutex);
    status.Update(of_part);
  });
  return status;
}

}  // namespace tessera
