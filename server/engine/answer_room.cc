#include "server/engine/answer_room.h"

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"

namespace tessera {

absl::Status AnswerRoom::Take(size_t bytes) {
  if (taken_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limits::kMessageBytesMax) {
    return absl::OkStatus();
  }
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, "RESPONSE_TOO_LARGE",
                         absl::StrCat("the response would have more than ",
                                      limits::kMessageBytesMax, " bytes: ask for less at once"));
}

}  // namespace tessera
