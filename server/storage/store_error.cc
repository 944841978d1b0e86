#include "server/storage/store_error.h"

#include <cerrno>
#include <system_error>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/storage/store.h"

namespace tessera {

absl::Status StoreError(absl::StatusCode code, std::string_view reason,
                        const std::string& message) {
  absl::Status status(code, message);
  status.SetPayload(kErrorReasonUrl, absl::Cord(absl::string_view(reason.data(), reason.size())));
  return status;
}

std::string FileNameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

absl::Status FileError(std::string_view what, std::string_view name, int error) {
  const std::string message = absl::StrCat(std::string(what), " ", std::string(name), ": ",
                                           std::generic_category().message(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return StoreError(absl::StatusCode::kResourceExhausted, "DISK_FULL", message);
  }
  return StoreError(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", message);
}

}  // namespace tessera
