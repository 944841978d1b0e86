#ifndef TESSERA_TESTS_CLIENT_CLI_FILES_TEST_FILES_H_
#define TESSERA_TESTS_CLIENT_CLI_FILES_TEST_FILES_H_

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

// What the tests of the file readers share: bytes of files, and a place to write them.
namespace tessera::cli {

// Appends the little-endian bytes of a number.
template <typename T>
void Put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// A version 1 .npy header, padded as NumPy pads it.
inline std::string NpyHeaderBytes(std::string_view descr, std::string_view shape,
                                  bool fortran_order = false) {
  std::string dict = "{'descr': '" + std::string(descr) +
                     "', 'fortran_order': " + (fortran_order ? "True" : "False") +
                     ", 'shape': " + std::string(shape) + ", }";
  while ((10 + dict.size() + 1) % 64 != 0) dict += ' ';
  dict += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  Put<uint16_t>(bytes, static_cast<uint16_t>(dict.size()));
  return bytes + dict;
}

// A directory that goes away with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera_test_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string Path(std::string_view name) const { return path_ + "/" + std::string(name); }

  // Writes a file and returns its path.
  std::string Write(std::string_view name, std::string_view bytes) const {
    const std::string path = Path(name);
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
    return path;
  }

 private:
  std::string path_;
};

}  // namespace tessera::cli

#endif  // TESSERA_TESTS_CLIENT_CLI_FILES_TEST_FILES_H_
