#ifndef TESSERA_CLIENT_CLI_CHUNK_BUILDER_H_
#define TESSERA_CLIENT_CLI_CHUNK_BUILDER_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "client/cli/point_source.h"
#include "tessera/v1/points.pb.h"

namespace tessera::cli {

// Cuts the rows of a load into upsert requests of bounded size. Thread-compatible.
class ChunkBuilder {
 public:
  // The rows [first_row, first_row + rows). `chunk_rows_max` is at least 1; chunks are also cut
  // so that their vectors and payloads fit a message. `check_ends`: the id and payload files must
  // not go on after the last row.
  static absl::StatusOr<std::unique_ptr<ChunkBuilder>> Create(std::unique_ptr<PointSource> points,
                                                              uint64_t first_row, uint64_t rows,
                                                              uint64_t chunk_rows_max,
                                                              bool check_ends);

  uint64_t next_row() const { return next_row_; }
  uint64_t end_row() const { return end_row_; }

  // Makes `request` the next chunk, without the collection's name, and returns its rows; 0 after
  // the last. The messages of errors name file and row or line.
  absl::StatusOr<uint64_t> Next(v1::UpsertRequest* request);

 private:
  ChunkBuilder(std::unique_ptr<PointSource> points, uint64_t first_row, uint64_t rows,
               uint64_t chunk_rows_max, bool check_ends);

  const std::unique_ptr<PointSource> points_;
  const uint64_t end_row_;
  const uint64_t chunk_rows_max_;
  const bool check_ends_;
  uint64_t next_row_;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_CHUNK_BUILDER_H_
