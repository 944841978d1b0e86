#ifndef TESSERA_SERVER_ENGINE_SEARCH_PARTS_H_
#define TESSERA_SERVER_ENGINE_SEARCH_PARTS_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "index/base/executor.h"

namespace tessera {

// Calls body(begin, end) on parts that cover the items [0, n) without overlap, in the calling
// thread and in those of `executor` that have nothing else to do (null: in one part), and returns
// the first error; the other parts run all the same. For each item a search reads about
// `item_bytes` of codes and vectors: a part is long enough to be worth waking a thread, and short
// enough for what waits for that thread.
absl::Status ForEachPart(Executor* executor, size_t n, size_t item_bytes,
                         absl::FunctionRef<absl::Status(size_t begin, size_t end)> body);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_SEARCH_PARTS_H_
