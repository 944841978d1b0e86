#ifndef TESSERA_TESTS_SERVER_STORAGE_TEMP_DIR_H_
#define TESSERA_TESTS_SERVER_STORAGE_TEMP_DIR_H_

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace tessera {

// A fresh directory, removed with its content at the end of the scope.
class TempDir {
 public:
  enum class Place {
    kDisk,
    kMemory,  // where there is such a file system: for tests of many syncs whose cost says nothing
  };

  explicit TempDir(Place place = Place::kDisk) {
    std::string pattern = (Parent(place) / "tessera-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  static std::filesystem::path Parent(Place place) {
    const std::filesystem::path memory = "/dev/shm";
    if (place == Place::kMemory && access(memory.c_str(), W_OK) == 0) return memory;
    return std::filesystem::temp_directory_path();
  }

  std::string path_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_STORAGE_TEMP_DIR_H_
