#ifndef TESSERA_CLIENT_CLI_FILES_NPY_HEADER_H_
#define TESSERA_CLIENT_CLI_FILES_NPY_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera::cli {

// What the header of a NumPy .npy file says.
struct NpyHeader {
  std::string descr;  // e.g. "<f4"
  bool fortran_order = false;
  std::vector<uint64_t> shape;
  uint64_t data_offset = 0;  // bytes before the array
};

// Reads the header of versions 1, 2 and 3 (numpy.lib.format) from the first bytes of a file.
// INVALID_ARGUMENT says what is wrong and at which byte. The shape is not checked against the file.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view head);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_NPY_HEADER_H_
