#ifndef TESSERA_TESTS_SERVER_STORAGE_PAGE_CACHE_H_
#define TESSERA_TESTS_SERVER_STORAGE_PAGE_CACHE_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace tessera {

// Without effect in a file system that lives in memory.
inline void DropFromPageCache(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0) << path;
  EXPECT_EQ(fsync(fd), 0);  // only what is on disk can be dropped
  EXPECT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
}

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_STORAGE_PAGE_CACHE_H_
