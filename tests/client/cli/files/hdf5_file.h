#ifndef TESSERA_TESTS_CLIENT_CLI_FILES_HDF5_FILE_H_
#define TESSERA_TESTS_CLIENT_CLI_FILES_HDF5_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tessera::cli {

// A dataset to write.
struct Hdf5Data {
  std::string name;
  std::string type;  // "float16", "float32", ..., "int64", "float32 big-endian", "string"
  std::vector<uint64_t> shape;  // of any rank
  std::string bytes;            // little-endian; for "string" none. Empty: never written
  bool compressed = false;      // in chunks of two rows
  bool filtered = false;  // the same, by a filter "foreign" that is there for the writing only
};

// Writes an HDF5 file; fails the test if that does not work.
void WriteHdf5(const std::string& path, const std::vector<Hdf5Data>& datasets);

}  // namespace tessera::cli

#endif  // TESSERA_TESTS_CLIENT_CLI_FILES_HDF5_FILE_H_
