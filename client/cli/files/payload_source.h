#ifndef TESSERA_CLIENT_CLI_FILES_PAYLOAD_SOURCE_H_
#define TESSERA_CLIENT_CLI_FILES_PAYLOAD_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/files/raw_file.h"

namespace tessera::cli {

// Payloads from a JSON Lines file: line i is the payload of row i, an empty line means none.
// Thread-compatible.
class PayloadSource {
 public:
  static absl::StatusOr<std::unique_ptr<PayloadSource>> Open(const std::string& path);

  // The next payload, without surrounding space. INVALID_ARGUMENT, naming file and line, if the
  // line is not a JSON object or too long, or if there is no further line: a row wants one.
  absl::Status Next(std::string* payload);

  // Passes over `rows` lines without looking at them.
  absl::Status Skip(uint64_t rows);

  // INVALID_ARGUMENT, naming file and line, if more lines follow, but for empty ones.
  absl::Status ExpectEnd();

 private:
  explicit PayloadSource(std::unique_ptr<RawFile> file);
  absl::Status NextLine(std::string_view* line);

  LineReader lines_;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_PAYLOAD_SOURCE_H_
