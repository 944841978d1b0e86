#ifndef TESSERA_CLIENT_CLI_OPERATION_OUTPUT_H_
#define TESSERA_CLIENT_CLI_OPERATION_OUTPUT_H_

#include "absl/status/status.h"
#include "client/cli/context.h"
#include "tessera/v1/operations.pb.h"

namespace tessera::cli {

// Waits for an operation with a progress bar of its phases, and prints how it ended. Its error is
// returned if it failed.
absl::Status WatchAndPrint(Context& context, const std::string& operation_id);

// Prints one operation as it is.
void PrintOperation(Context& context, const v1::Operation& operation);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_OPERATION_OUTPUT_H_
