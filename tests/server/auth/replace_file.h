#ifndef TESSERA_TESTS_SERVER_AUTH_REPLACE_FILE_H_
#define TESSERA_TESTS_SERVER_AUTH_REPLACE_FILE_H_

#include <filesystem>
#include <fstream>
#include <string>

namespace tessera {

// As those who renew secrets do: a whole new file in the place of the old.
inline void ReplaceFile(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new", std::ios::binary) << text;
  std::filesystem::rename(path + ".new", path);
}

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_AUTH_REPLACE_FILE_H_
