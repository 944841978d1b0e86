#ifndef TESSERA_TESTS_FUZZ_MEMORY_FILE_H_
#define TESSERA_TESTS_FUZZ_MEMORY_FILE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "tests/fuzz/fuzz_check.h"

namespace tessera {

// A file without a disk, for parsers that open a path; it stays open.
struct MemoryFile {
  explicit MemoryFile(const char* name) : fd(memfd_create(name, MFD_CLOEXEC)) {}

  void Clear() const { FUZZ_CHECK(ftruncate(fd, 0) == 0); }
  void Write(std::string_view bytes, off_t offset) const {
    FUZZ_CHECK(pwrite(fd, bytes.data(), bytes.size(), offset) ==
               static_cast<ssize_t>(bytes.size()));
  }

  const int fd;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
};

}  // namespace tessera

#endif  // TESSERA_TESTS_FUZZ_MEMORY_FILE_H_
