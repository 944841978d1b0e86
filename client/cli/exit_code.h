#ifndef TESSERA_CLIENT_CLI_EXIT_CODE_H_
#define TESSERA_CLIENT_CLI_EXIT_CODE_H_

#include <string_view>

#include "absl/status/status.h"

namespace tessera::cli {

// What the process returns; scripts rely on the numbers. kExitCodesHelp documents them.
enum class ExitCode {
  kOk = 0,
  kError = 1,        // of the server or the machine, and everything not listed below
  kUsage = 2,        // the command line is wrong
  kInputFile = 3,    // a file is missing, malformed or cut short, or does not fit the collection
  kNotFound = 4,     // no such collection, point, codebook or operation
  kUnavailable = 5,  // the server cannot be reached, is not ready, or did not answer in time
  kRefused = 6,      // the server refused the request: invalid, not allowed, not in this state
  kDamaged = 7,      // fsck found damage
  kInterrupted = 130,
};

extern const char kExitCodesHelp[];

// Errors that the CLI itself finds carry a mark that tells them from the server's.
absl::Status UsageError(std::string_view message);
absl::Status InputFileError(const absl::Status& status);
absl::Status OutputFileError(const absl::Status& status);  // kError, whatever the code
absl::Status InterruptedError(std::string_view message);
// What fsck ends with when its report, which it has printed, is not clean.
absl::Status DamageFound();

// The status with another message; its marks and details stay.
absl::Status WithMessage(const absl::Status& status, std::string_view message);

ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_EXIT_CODE_H_
