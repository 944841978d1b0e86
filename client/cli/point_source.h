#ifndef TESSERA_CLIENT_CLI_POINT_SOURCE_H_
#define TESSERA_CLIENT_CLI_POINT_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/files/id_source.h"
#include "client/cli/files/json_point.h"
#include "client/cli/files/payload_source.h"
#include "client/cli/files/vector_reader.h"
#include "tessera/v1/points.pb.h"

namespace tessera::cli {

// Points in the order of the rows that they come from. Messages of errors name file and row or
// line. Thread-compatible.
class PointSource {
 public:
  virtual ~PointSource() = default;

  virtual const std::string& path() const = 0;  // of the file that has the vectors
  virtual uint64_t rows() const = 0;
  virtual uint32_t dimension() const = 0;
  // Whether rows are missing at the end of the file of vectors.
  virtual bool cut_short() const = 0;

  // Passes over rows, before the first Next. OUT_OF_RANGE if there are fewer.
  virtual absl::Status Skip(uint64_t rows) = 0;

  // Adds the next points to `request`, up to `rows_max` and to about limits::kFileChunkBytesMax
  // each of vectors and payloads, and returns how many: at least 1 if `rows_max` is and as many
  // rows are left.
  virtual absl::StatusOr<uint64_t> Next(uint64_t rows_max, v1::UpsertRequest* request) = 0;

  // INVALID_ARGUMENT if one of several files goes on after the last row.
  virtual absl::Status ExpectEnd() = 0;
};

// The files of one load, side by side: row i of each belongs to point i.
struct RowFiles {
  std::unique_ptr<VectorReader> vectors;
  std::unique_ptr<IdSource> ids;
  std::unique_ptr<PayloadSource> payloads;  // null: none
};

std::unique_ptr<PointSource> MakeRowFilesSource(RowFiles files);

// JSON Lines: an object a line (files/json_point.h), empty lines apart. Ids are those of the lines,
// all or none of which have one; else row numbers. Counts the lines at first.
absl::StatusOr<std::unique_ptr<PointSource>> OpenJsonLines(const std::string& path,
                                                           const JsonPointFields& fields);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_POINT_SOURCE_H_
