#include "server/storage/rocksdb_status.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/storage/store_error.h"

namespace tessera {
namespace {

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// RocksDB has a code for ENOSPC only; of EDQUOT and EFBIG just the system's text is left.
bool IsDiskFull(const rocksdb::Status& status, const std::string& text) {
  return status.IsNoSpace() || Contains(text, "No space left on device") ||
         Contains(text, "Disk quota exceeded") || Contains(text, "File too large");
}

bool IsLockHeld(const std::string& text) {
  return Contains(text, "While lock file") || Contains(text, "lock hold by current process");
}

absl::StatusCode CodeOf(const rocksdb::Status& status, const std::string& text) {
  if (IsDiskFull(status, text) || status.IsMemoryLimit()) {
    return absl::StatusCode::kResourceExhausted;
  }
  if (IsLockHeld(text)) return absl::StatusCode::kUnavailable;
  if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
      Contains(text, "Column family not found")) {
    return absl::StatusCode::kDataLoss;
  }
  if (status.IsIOError() || status.IsBusy() || status.IsTryAgain() || status.IsTimedOut() ||
      status.IsShutdownInProgress() || status.IsAborted()) {
    return absl::StatusCode::kUnavailable;
  }
  // A store that a later version laid out: unknown families, options or block formats.
  if (status.IsInvalidArgument() || status.IsNotSupported()) {
    return absl::StatusCode::kFailedPrecondition;
  }
  return absl::StatusCode::kInternal;
}

const char* ReasonOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kResourceExhausted:
      return "DISK_FULL";
    case absl::StatusCode::kDataLoss:
      return "STORE_DAMAGED";
    case absl::StatusCode::kUnavailable:
      return "STORE_UNAVAILABLE";
    default:
      return "STORE_ERROR";
  }
}

}  // namespace

absl::Status MapRocksDbStatus(const rocksdb::Status& status, std::string_view what,
                              const std::string& root) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.ToString();
  // A table that is missing is reported under the second of the two names it might have had.
  std::string message = absl::StrCat(
      std::string(what), ": ", absl::StrReplaceAll(text, {{root + "/", ""}, {".ldb", ".sst"}}));
  if (IsLockHeld(text)) {
    absl::StrAppend(&message, "; is another server running on this data directory?");
  }
  const absl::StatusCode code = CodeOf(status, text);
  return StoreError(code, ReasonOf(code), message);
}

absl::Status StoreReadOnly(const absl::Status& cause) {
  return StoreError(absl::StatusCode::kFailedPrecondition, "STORE_READ_ONLY",
                    absl::StrCat("the store takes no writes until the server is restarted, because "
                                 "one failed: ",
                                 cause.message()));
}

}  // namespace tessera
