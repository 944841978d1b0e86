#ifndef TESSERA_CLIENT_CPP_BULK_UPSERTER_H_
#define TESSERA_CLIENT_CPP_BULK_UPSERTER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"
#include "tessera/v1/points.grpc.pb.h"

namespace tessera {

// Writes many points over one stream, with a bounded number of chunks in flight: memory stays
// flat, and the server is never waited for while it has room for more.
//
// The server answers each chunk once its points are on disk, in the order of the chunks. So after
// an error, the first acknowledged_chunks() chunks are durable and found by searches, the next one
// was refused or lost, and later ones were not written; one whose answer got lost with the
// connection may have been. Writing a point again is harmless.
//
// Thread-compatible: one thread at a time. Starts no thread.
class BulkUpserter {
 public:
  struct Options {
    std::string collection_name;
    size_t chunks_in_flight_max = 4;                    // at least 1
    absl::Duration timeout = absl::InfiniteDuration();  // of the whole stream
  };

  BulkUpserter(std::shared_ptr<v1::Points::Stub> stub, Options options);
  // Cancels the stream if Finish was not called.
  ~BulkUpserter();
  BulkUpserter(const BulkUpserter&) = delete;
  BulkUpserter& operator=(const BulkUpserter&) = delete;

  // Sends one chunk; the collection's name is filled in. Blocks while the window is full. After
  // an error the stream is over: the same error comes back from every later call.
  absl::Status Write(v1::UpsertRequest chunk);

  // Waits until every chunk is acknowledged and ends the stream.
  absl::Status Finish();

  uint64_t acknowledged_chunks() const { return acknowledged_chunks_; }
  uint64_t acknowledged_points() const { return acknowledged_points_; }

 private:
  // Waits for the answer to the oldest chunk in flight. False: the stream has ended.
  bool ReadOne();
  // Reads what is left, ends the stream, and keeps its status.
  absl::Status End();

  const std::shared_ptr<v1::Points::Stub> stub_;
  const Options options_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::UpsertRequest, v1::UpsertResponse>> stream_;
  uint64_t sent_chunks_ = 0;
  uint64_t acknowledged_chunks_ = 0;
  uint64_t acknowledged_points_ = 0;
  bool finished_ = false;
  absl::Status status_;  // once finished_
};

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_BULK_UPSERTER_H_
