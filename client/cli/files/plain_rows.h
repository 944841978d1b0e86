#ifndef TESSERA_CLIENT_CLI_FILES_PLAIN_ROWS_H_
#define TESSERA_CLIENT_CLI_FILES_PLAIN_ROWS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/cli/files/row_reader.h"

namespace tessera::cli {

// Of a file whose rows lie one after the other, as a RowLayout says.
absl::StatusOr<std::unique_ptr<RowReader>> OpenPlainRows(const std::string& path,
                                                         const RowReaderOptions& options);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_PLAIN_ROWS_H_
