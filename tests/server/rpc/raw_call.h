#ifndef TESSERA_TESTS_SERVER_RPC_RAW_CALL_H_
#define TESSERA_TESTS_SERVER_RPC_RAW_CALL_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tessera {

using CallMetadata = std::vector<std::pair<std::string, std::string>>;

// A call of any kind with one message of bytes that no generated client might send, read to its
// end. `answer`: the first message of the answer, if there is one; may be null.
inline grpc::Status CallWithBytes(const std::shared_ptr<grpc::Channel>& channel,
                                  const std::string& method, const std::string& bytes,
                                  std::string* answer = nullptr,
                                  const CallMetadata& metadata = {}) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(1)));
  for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  wait();
  const grpc::Slice slice(bytes);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
  wait();
  grpc::ByteBuffer response;
  grpc::Slice first;
  for (bool any = false;; any = true) {
    call->Read(&response, nullptr);
    if (!wait()) break;
    if (!any && response.DumpToSingleSlice(&first).ok() && answer != nullptr) {
      answer->assign(reinterpret_cast<const char*>(first.begin()), first.size());
    }
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  return status;
}

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_RPC_RAW_CALL_H_
