#ifndef TESSERA_TESTS_INDEX_SIMD_BOUNDED_MEMORY_H_
#define TESSERA_TESTS_INDEX_SIMD_BOUNDED_MEMORY_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "index/base/check.h"

namespace tessera {

// `size` bytes in memory of their own, `misalignment` bytes past an aligned address, ending where
// the allocation ends: AddressSanitizer reports a read of the next byte.
class TightBytes {
 public:
  explicit TightBytes(size_t size, size_t misalignment = 0)
      : storage_(new std::byte[size + misalignment]), data_(storage_.get() + misalignment) {}
  std::byte* data() { return data_; }

 private:
  std::unique_ptr<std::byte[]> storage_;
  std::byte* data_;
};

// Memory between two pages that fault on any access.
class GuardedPages {
 public:
  explicit GuardedPages(size_t size) : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    inner_ = (size + page_ - 1) / page_ * page_;
    map_ = mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TESSERA_CHECK(map_ != MAP_FAILED);
    TESSERA_CHECK(mprotect(begin(), inner_, PROT_READ | PROT_WRITE) == 0);
  }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;
  ~GuardedPages() { munmap(map_, inner_ + 2 * page_); }

  std::byte* begin() { return static_cast<std::byte*>(map_) + page_; }
  std::byte* end() { return begin() + inner_; }

 private:
  size_t page_;
  size_t inner_;
  void* map_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_INDEX_SIMD_BOUNDED_MEMORY_H_
