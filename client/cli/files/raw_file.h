#ifndef TESSERA_CLIENT_CLI_FILES_RAW_FILE_H_
#define TESSERA_CLIENT_CLI_FILES_RAW_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tessera::cli {

// A regular file, open for reading at any offset. Messages of errors start with its path.
// Thread-safe. Reading after the file has shrunk is an error, not a crash (so: no mapping).
class RawFile {
 public:
  // NOT_FOUND, PERMISSION_DENIED, or INVALID_ARGUMENT if it is not a regular file.
  static absl::StatusOr<std::unique_ptr<RawFile>> Open(const std::string& path);
  ~RawFile();
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }  // when it was opened

  // Makes `out` the `bytes` from `offset` on. DATA_LOSS, naming the byte, if the file has fewer.
  absl::Status Read(uint64_t offset, uint64_t bytes, std::string* out) const;

  // The same status with "path: " before its message.
  absl::Status Annotate(const absl::Status& status) const;

 private:
  RawFile(std::string path, int fd, uint64_t size);

  const std::string path_;
  const int fd_;
  const uint64_t size_;
};

// Reads a text file line by line in bounded memory. Thread-compatible.
class LineReader {
 public:
  // Lines of more than `line_bytes_max` bytes are an error.
  LineReader(std::unique_ptr<RawFile> file, size_t line_bytes_max);

  // The next line without its end ("\n" or "\r\n"); false at the end of the file. The view is
  // valid until the next call.
  absl::StatusOr<bool> Next(std::string_view* line);

  // Of the line that Next gave last, from 1.
  uint64_t line_number() const { return line_number_; }
  const RawFile& file() const { return *file_; }

  // "path, line N: message".
  absl::Status Error(std::string_view message) const;

 private:
  absl::Status TooLong() const;

  const std::unique_ptr<RawFile> file_;
  const size_t line_bytes_max_;
  std::string buffer_;
  size_t position_ = 0;  // in buffer_, of the next line
  uint64_t offset_ = 0;  // in the file, of what is read next
  uint64_t line_number_ = 0;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_RAW_FILE_H_
