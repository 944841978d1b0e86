#include "client/cpp/search_stream.h"

#include <utility>

#include "client/cpp/call_setup.h"
#include "client/cpp/error_details.h"

namespace tessera {

SearchStream::SearchStream(std::shared_ptr<v1::Points::Stub> stub, const std::string& api_key,
                           absl::Duration timeout)
    : stub_(std::move(stub)) {
  Prepare(context_, timeout, api_key);
  stream_ = stub_->SearchStream(&context_);
}

SearchStream::~SearchStream() {
  if (ended_) return;
  context_.TryCancel();
  v1::SearchStreamResponse ignored;
  while (stream_->Read(&ignored)) {
  }
  stream_->Finish();
}

bool SearchStream::Send(uint64_t tag, v1::SearchRequest search) {
  if (done_) return false;
  v1::SearchStreamRequest request;
  request.set_tag(tag);
  *request.mutable_search() = std::move(search);
  return stream_->Write(request);
}

void SearchStream::Done() {
  // gRPC ends the process of who says it twice.
  if (!std::exchange(done_, true)) stream_->WritesDone();
}

absl::StatusOr<SearchStream::Answer> SearchStream::Receive() {
  if (ended_) return end_;
  v1::SearchStreamResponse response;
  if (!stream_->Read(&response)) {
    ended_ = true;
    end_ = ToAbslStatus(stream_->Finish());
    if (end_.ok()) end_ = absl::OutOfRangeError("the stream has ended");
    return end_;
  }
  Answer answer{response.tag(), absl::UnknownError("the answer is empty")};
  if (response.has_response()) {
    answer.response = std::move(*response.mutable_response());
  } else if (response.has_error()) {
    const absl::Status error = ToAbslStatus(response.error());
    if (!error.ok()) answer.response = error;
  }
  return answer;
}

}  // namespace tessera
