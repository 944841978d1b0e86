#include "client/cli/exit_code.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace tessera::cli {
namespace {

constexpr char kOriginUrl[] = "tessera/cli/origin";
constexpr char kUsage[] = "usage";
constexpr char kInputFile[] = "input_file";
constexpr char kOutputFile[] = "output_file";
constexpr char kInterrupted[] = "interrupted";
constexpr char kDamaged[] = "damaged";

absl::Status Mark(absl::Status status, const char* origin) {
  status.SetPayload(kOriginUrl, absl::Cord(origin));
  return status;
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

const char kExitCodesHelp[] =
    "Exit codes: 0 ok, 1 error of the server or the machine, 2 wrong command line,\n"
    "  3 bad input file, 4 not found, 5 server unavailable or too slow to answer,\n"
    "  6 request refused (invalid, without the API key for it, already exists, not in this "
    "state),\n"
    "  7 damage found by fsck, 130 interrupted.";

absl::Status UsageError(std::string_view message) {
  return Mark(absl::InvalidArgumentError(View(message)), kUsage);
}

absl::Status InputFileError(const absl::Status& status) {
  return status.ok() ? status : Mark(status, kInputFile);
}

absl::Status OutputFileError(const absl::Status& status) {
  return status.ok() ? status : Mark(status, kOutputFile);
}

absl::Status InterruptedError(std::string_view message) {
  return Mark(absl::CancelledError(View(message)), kInterrupted);
}

absl::Status DamageFound() { return Mark(absl::DataLossError("the store is damaged"), kDamaged); }

absl::Status WithMessage(const absl::Status& status, std::string_view message) {
  absl::Status result(status.code(), View(message));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  return result;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kOk;
  if (const auto origin = status.GetPayload(kOriginUrl); origin.has_value()) {
    if (*origin == kUsage) return ExitCode::kUsage;
    if (*origin == kInputFile) return ExitCode::kInputFile;
    if (*origin == kOutputFile) return ExitCode::kError;
    if (*origin == kDamaged) return ExitCode::kDamaged;
    if (*origin == kInterrupted) return ExitCode::kInterrupted;
  }
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return ExitCode::kRefused;
    default:
      return ExitCode::kError;
  }
}

}  // namespace tessera::cli
