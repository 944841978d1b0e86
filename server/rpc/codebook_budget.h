#ifndef TESSERA_SERVER_RPC_CODEBOOK_BUDGET_H_
#define TESSERA_SERVER_RPC_CODEBOOK_BUDGET_H_

#include <atomic>
#include <cstddef>

namespace tessera {

// The bytes of codebooks that all open imports, or all open exports, hold together. Thread-safe.
class CodebookBudget {
 public:
  // False, and nothing is taken, if it would be more than limits::kCodebookBytesMax in all.
  bool Take(size_t bytes);
  void GiveBack(size_t bytes);

 private:
  std::atomic<size_t> held_{0};
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CODEBOOK_BUDGET_H_
