#include "client/cli/files/payload_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace tessera::cli {
namespace {

std::string_view Strip(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

PayloadSource::PayloadSource(std::unique_ptr<RawFile> file)
    : lines_(std::move(file), limits::kPayloadBytesMax) {}

absl::StatusOr<std::unique_ptr<PayloadSource>> PayloadSource::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<RawFile> file, RawFile::Open(path));
  return std::unique_ptr<PayloadSource>(new PayloadSource(std::move(file)));
}

absl::Status PayloadSource::NextLine(std::string_view* line) {
  ASSIGN_OR_RETURN(const bool more, lines_.Next(line));
  if (more) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      lines_.file().path(), ", line ", lines_.line_number() + 1, ": the file ends after ",
      lines_.line_number(), " lines, but there are more rows (an empty line means no payload)"));
}

absl::Status PayloadSource::Next(std::string* payload) {
  std::string_view line;
  RETURN_IF_ERROR(NextLine(&line));
  line = Strip(line);
  if (!line.empty() && (line.front() != '{' || !nlohmann::json::accept(line))) {
    return lines_.Error("not a JSON object");
  }
  payload->assign(line);
  return absl::OkStatus();
}

absl::Status PayloadSource::Skip(uint64_t rows) {
  std::string_view line;
  for (uint64_t i = 0; i < rows; ++i) RETURN_IF_ERROR(NextLine(&line));
  return absl::OkStatus();
}

absl::Status PayloadSource::ExpectEnd() {
  const uint64_t expected = lines_.line_number();
  while (true) {
    std::string_view line;
    ASSIGN_OR_RETURN(const bool more, lines_.Next(&line));
    if (!more) return absl::OkStatus();
    if (!Strip(line).empty()) {
      return lines_.Error(absl::StrCat("there are only ", expected, " rows"));
    }
  }
}

}  // namespace tessera::cli
