#ifndef TESSERA_SERVER_ENGINE_SEARCH_PARTS_H_
#define TESSERA_SERVER_ENGINE_SEARCH_PARTS_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "index/base/executor.h"

namespace tessera {

// Calls body(begin, end) on parts that cover [0, n), on the threads of `executor` that have nothing
// else to do and the caller's, and returns the first error. The parts of a loop over items for each
// of which a search reads some `item_bytes` of codes and vectors take long enough to be worth a
// thread's wake-up, and not so long that others must wait for it. Null: one part.
absl::Status ForEachPart(Executor* executor, size_t n, size_t item_bytes,
                         const std::function<absl::Status(size_t begin, size_t end)>& body);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_SEARCH_PARTS_H_
