#ifndef TESSERA_CLIENT_CPP_SEARCH_STREAM_H_
#define TESSERA_CLIENT_CPP_SEARCH_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"
#include "tessera/v1/points.grpc.pb.h"

namespace tessera {

// Many searches over one stream, which costs client and server less than a call each. Answers come
// in the order of the searches; a search that fails has an answer too, and the stream goes on.
//
//   const bool sent = stream->Send(1, request);
//   absl::StatusOr<SearchStream::Answer> answer = stream->Receive();
//
// The server has at most limits::kSearchStreamInFlightMax of them at once, and reads no more until
// answers have left: who sends on without receiving is blocked in the end.
//
// Thread-compatible, but for this: one thread may call Send and Done while one other calls Receive.
// Starts no thread.
class SearchStream {
 public:
  struct Answer {
    uint64_t tag = 0;
    absl::StatusOr<v1::SearchResponse> response;
  };

  // `api_key`: as ClientOptions has it. `timeout`: of the whole stream.
  explicit SearchStream(std::shared_ptr<v1::Points::Stub> stub, const std::string& api_key = {},
                        absl::Duration timeout = absl::InfiniteDuration());
  // Cancels the stream if Receive has not seen its end.
  ~SearchStream();
  SearchStream(const SearchStream&) = delete;
  SearchStream& operator=(const SearchStream&) = delete;

  // Sends a search; the collection's name may be left to the search before. False: Done was called,
  // or the stream has ended, and Receive has the reason behind the answers that are left.
  bool Send(uint64_t tag, v1::SearchRequest search);
  // Says that no more searches come.
  void Done();

  // Waits for the next answer. OUT_OF_RANGE: Done was called and this was all; any other error has
  // ended the stream, and what is not answered never will be.
  absl::StatusOr<Answer> Receive();

 private:
  const std::shared_ptr<v1::Points::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SearchStreamRequest, v1::SearchStreamResponse>>
      stream_;
  bool done_ = false;  // of the thread that sends
  bool ended_ = false;
  absl::Status end_;  // once ended_
};

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_SEARCH_STREAM_H_
