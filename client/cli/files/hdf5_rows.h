#ifndef TESSERA_CLIENT_CLI_FILES_HDF5_ROWS_H_
#define TESSERA_CLIENT_CLI_FILES_HDF5_ROWS_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/cli/files/row_reader.h"

namespace tessera::cli {

struct Hdf5Path {
  std::string file;
  std::string dataset;  // empty: not named
};

// "a.hdf5", "a.h5", "a.hdf5:train" or "a.h5:group/train"; none if the path has no such extension.
std::optional<Hdf5Path> ParseHdf5Path(std::string_view path);

// Of a dataset of one or two dimensions of numbers: chunked, compressed or big-endian as it may be,
// rows come as this machine holds them. INVALID_ARGUMENT if the dataset is another, or claims more
// than the file can hold. One thread at a time: the library has global state.
absl::StatusOr<std::unique_ptr<RowReader>> OpenHdf5Rows(const std::string& file,
                                                        const std::string& dataset);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_HDF5_ROWS_H_
