#include "index/base/buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "index/base/memory_units.h"

namespace tessera {
namespace {

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

[[noreturn]] void OutOfMemory(size_t bytes) {
  std::fprintf(stderr, "tessera: out of memory allocating %zu bytes\n", bytes);
  std::abort();
}

// Fresh pages from the kernel are zero and cost nothing until they are touched, so a buffer may be
// reserved generously.
void* MapHuge(size_t bytes) {
  const size_t length = RoundUp(bytes, kHugePageBytes);
  void* raw = mmap(nullptr, length + kHugePageBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) OutOfMemory(bytes);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = RoundUp(begin, kHugePageBytes);
  if (aligned > begin) munmap(raw, aligned - begin);
  const uintptr_t end = begin + length + kHugePageBytes;
  if (end > aligned + length)
    munmap(reinterpret_cast<void*>(aligned + length), end - aligned - length);
  void* memory = reinterpret_cast<void*>(aligned);
  // Advice only: without huge pages everything works, with more TLB misses.
  madvise(memory, length, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

void* AllocateAligned(size_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes >= kHugePageBytes) return MapHuge(bytes);
  const size_t rounded = RoundUp(bytes, kCacheLineBytes);
  void* memory = std::aligned_alloc(kCacheLineBytes, rounded);
  if (memory == nullptr) OutOfMemory(bytes);
  std::memset(memory, 0, rounded);
  return memory;
}

void FreeAligned(void* memory, size_t bytes) {
  if (memory == nullptr) return;
  if (bytes >= kHugePageBytes) {
    munmap(memory, RoundUp(bytes, kHugePageBytes));
  } else {
    std::free(memory);
  }
}

void ReleaseAligned(void* memory, size_t begin, size_t bytes) {
  const auto start = reinterpret_cast<uintptr_t>(memory);
  const bool mapped = bytes >= kHugePageBytes;
  const uintptr_t first = RoundUp(start + begin, mapped ? kHugePageBytes : kPageBytes);
  // What follows memory from the heap is not ours.
  const uintptr_t end =
      mapped ? RoundUp(start + bytes, kHugePageBytes) : (start + bytes) / kPageBytes * kPageBytes;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

}  // namespace tessera
