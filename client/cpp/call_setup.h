#ifndef TESSERA_CLIENT_CPP_CALL_SETUP_H_
#define TESSERA_CLIENT_CPP_CALL_SETUP_H_

#include <algorithm>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"

// Private to the client library.
namespace tessera {

// What each call is given before it starts. No deadline if `timeout` is infinite, no key if it is
// empty.
inline void Prepare(grpc::ClientContext& context, absl::Duration timeout,
                    const std::string& api_key) {
  if (timeout != absl::InfiniteDuration()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  }
  // gRPC ends the process of who sends other bytes.
  const bool may_send =
      std::all_of(api_key.begin(), api_key.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!api_key.empty() && may_send) context.AddMetadata("authorization", "Bearer " + api_key);
}

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_CALL_SETUP_H_
