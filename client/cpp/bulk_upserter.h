#ifndef TESSERA_CLIENT_CPP_BULK_UPSERTER_H_
#define TESSERA_CLIENT_CPP_BULK_UPSERTER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_stream.h"
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
    // Once Write or Finish has waited for so long, and no acknowledgement came, the stream is
    // cancelled with DEADLINE_EXCEEDED. Each acknowledgement that comes begins the wait anew.
    absl::Duration acknowledgement_timeout = absl::InfiniteDuration();
  };

  // `api_key`: as ClientOptions has it.
  BulkUpserter(std::shared_ptr<v1::Points::Stub> stub, Options options,
               const std::string& api_key = {});
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
  // What is asked of the stream and ends by an event of the queue.
  enum class Step : uintptr_t { kStart = 1, kRead, kWrite, kEnd };

  static void* Tag(Step step) { return reinterpret_cast<void*>(step); }
  // Waits until one step has ended. Cancels the stream if that takes too long: then every step
  // ends soon.
  void Await();
  // Notes that a step has ended; `ok` is what the queue says of it.
  void Ended(Step step, bool ok);
  // Reads what is left, ends the stream, and keeps its status.
  absl::Status End();
  // What End returns of what the stream ended with.
  absl::Status StatusOfEnd(absl::Status status) const;

  const std::shared_ptr<v1::Points::Stub> stub_;
  const Options options_;
  grpc::ClientContext context_;
  // The stream's own queue rather than the blocking calls, which cannot be given a deadline each.
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::UpsertRequest, v1::UpsertResponse>> stream_;
  v1::UpsertResponse response_;  // of the read that goes on
  bool reading_ = false;         // from the start of the stream until it ends
  bool writing_ = true;          // the start counts as a write
  bool broken_ = false;          // a write failed: the stream has ended
  bool ending_ = false;
  bool stalled_ = false;  // cancelled because no acknowledgement came
  absl::Time waiting_since_;
  uint64_t sent_chunks_ = 0;
  uint64_t acknowledged_chunks_ = 0;
  uint64_t acknowledged_points_ = 0;
  bool finished_ = false;
  absl::Status status_;  // once finished_
};

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_BULK_UPSERTER_H_
