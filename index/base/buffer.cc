#include "index/base/buffer.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tessera {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

void* AllocateAligned(size_t bytes) {
  if (bytes == 0) return nullptr;
  const bool huge = bytes >= kHugePage;
  const size_t alignment = huge ? kHugePage : kCacheLine;
  const size_t rounded = RoundUp(bytes, kCacheLine);
  void* memory = std::aligned_alloc(alignment, RoundUp(rounded, alignment));
  if (memory == nullptr) {
    std::fprintf(stderr, "tessera: out of memory allocating %zu bytes\n", bytes);
    std::abort();
  }
  // Advice only: without huge pages everything works, with more TLB misses.
  if (huge) madvise(memory, rounded, MADV_HUGEPAGE);
  std::memset(memory, 0, rounded);
  return memory;
}

void FreeAligned(void* memory, size_t bytes) { std::free(memory); }

}  // namespace tessera
