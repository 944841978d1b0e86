#ifndef TESSERA_CLIENT_CLI_CHUNK_BUILDER_H_
#define TESSERA_CLIENT_CLI_CHUNK_BUILDER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/files/id_source.h"
#include "client/cli/files/payload_source.h"
#include "client/cli/files/vector_reader.h"
#include "tessera/v1/points.pb.h"

namespace tessera::cli {

// The files of one load, side by side: row i of each belongs to point i.
struct LoadFiles {
  std::unique_ptr<VectorReader> vectors;
  std::unique_ptr<IdSource> ids;
  std::unique_ptr<PayloadSource> payloads;  // null: none
};

// Cuts the rows of a load into upsert requests of bounded size. Thread-compatible.
class ChunkBuilder {
 public:
  // The rows [first_row, first_row + rows). `chunk_rows_max` is at least 1; chunks are also cut
  // so that their vectors and payloads fit a message. `check_ends`: the id and payload files must
  // not go on after the last row.
  static absl::StatusOr<std::unique_ptr<ChunkBuilder>> Create(LoadFiles files, uint64_t first_row,
                                                              uint64_t rows,
                                                              uint64_t chunk_rows_max,
                                                              bool check_ends);

  uint64_t next_row() const { return next_row_; }
  uint64_t end_row() const { return end_row_; }

  // Makes `request` the next chunk, without the collection's name, and returns its rows; 0 after
  // the last. The messages of errors name file and row or line.
  absl::StatusOr<uint64_t> Next(v1::UpsertRequest* request);

 private:
  ChunkBuilder(LoadFiles files, uint64_t first_row, uint64_t rows, uint64_t chunk_rows_max,
               bool check_ends);
  // Adds up to `rows` payloads and returns how many fit.
  absl::StatusOr<uint64_t> AddPayloads(uint64_t rows, v1::UpsertRequest* request);
  absl::Status CheckEnds();

  const LoadFiles files_;
  const uint64_t end_row_;
  const uint64_t chunk_rows_max_;
  const bool check_ends_;
  uint64_t next_row_;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_CHUNK_BUILDER_H_
