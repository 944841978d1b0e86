#ifndef TESSERA_CLIENT_CLI_OUTPUT_FILE_H_
#define TESSERA_CLIENT_CLI_OUTPUT_FILE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tessera::cli {

// Writes a file so that it is there whole or not at all: the bytes go to a temporary file beside
// it, which Commit syncs and renames. Errors name the file that was asked for. Thread-compatible.
class OutputFile {
 public:
  static absl::StatusOr<std::unique_ptr<OutputFile>> Create(const std::string& path);
  // Removes the temporary file if there was no Commit.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  absl::Status Append(std::string_view bytes);
  absl::Status Commit();

 private:
  OutputFile(std::string path, std::string temporary, int fd);

  const std::string path_;
  const std::string temporary_;
  int fd_;  // -1: closed
  bool committed_ = false;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_OUTPUT_FILE_H_
