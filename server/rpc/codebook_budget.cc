#include "server/rpc/codebook_budget.h"

#include "index/base/limits.h"

namespace tessera {

bool CodebookBudget::Take(size_t bytes) {
  size_t held = held_.load(std::memory_order_relaxed);
  do {
    if (bytes > limits::kCodebookBytesMax - held) return false;
  } while (!held_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  return true;
}

void CodebookBudget::GiveBack(size_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }

}  // namespace tessera
