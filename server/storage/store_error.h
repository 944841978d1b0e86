#ifndef TESSERA_SERVER_STORAGE_STORE_ERROR_H_
#define TESSERA_SERVER_STORAGE_STORE_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tessera {

// A status with a reason for the edges (kErrorReasonUrl).
absl::Status StoreError(absl::StatusCode code, std::string_view reason, const std::string& message);

// The same for a failed system call: RESOURCE_EXHAUSTED with reason DISK_FULL if `error`, an errno,
// says that there is no room, else UNAVAILABLE with reason STORE_UNAVAILABLE. `what` and `name` say
// what was being done to which file.
absl::Status FileError(std::string_view what, std::string_view name, int error);

// What errors call a file: its name alone, since where the data directory is concerns nobody else.
std::string FileNameOf(const std::string& path);

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_STORE_ERROR_H_
