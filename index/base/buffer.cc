#include "index/base/buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tessera {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kPage = size_t{4} << 10;

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

[[noreturn]] void OutOfMemory(size_t bytes) {
  std::fprintf(stderr, "tessera: out of memory allocating %zu bytes\n", bytes);
  std::abort();
}

// Fresh pages from the kernel are zero and cost nothing until they are touched, so a buffer may be
// reserved generously.
void* MapHuge(size_t bytes) {
  const size_t length = RoundUp(bytes, kHugePage);
  void* raw = mmap(nullptr, length + kHugePage, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) OutOfMemory(bytes);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = RoundUp(begin, kHugePage);
  if (aligned > begin) munmap(raw, aligned - begin);
  const uintptr_t end = begin + length + kHugePage;
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
  if (bytes >= kHugePage) return MapHuge(bytes);
  const size_t rounded = RoundUp(bytes, kCacheLine);
  void* memory = std::aligned_alloc(kCacheLine, rounded);
  if (memory == nullptr) OutOfMemory(bytes);
  std::memset(memory, 0, rounded);
  return memory;
}

void FreeAligned(void* memory, size_t bytes) {
  if (memory == nullptr) return;
  if (bytes >= kHugePage) {
    munmap(memory, RoundUp(bytes, kHugePage));
  } else {
    std::free(memory);
  }
}

void ReleaseAligned(void* memory, size_t begin, size_t bytes) {
  const auto start = reinterpret_cast<uintptr_t>(memory);
  const bool mapped = bytes >= kHugePage;
  const uintptr_t first = RoundUp(start + begin, mapped ? kHugePage : kPage);
  // What follows memory from the heap is not ours.
  const uintptr_t end =
      mapped ? RoundUp(start + bytes, kHugePage) : (start + bytes) / kPage * kPage;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

}  // namespace tessera
