#ifndef TESSERA_SERVER_ENGINE_ANSWER_ROOM_H_
#define TESSERA_SERVER_ENGINE_ANSWER_ROOM_H_

#include <atomic>
#include <cstddef>

#include "absl/status/status.h"

namespace tessera {

// The bytes that an answer may still take. What is too large for a message is refused while it is
// collected: by the time that all of it were in memory, it could be a thousand times too large.
// Thread-safe.
class AnswerRoom {
 public:
  // For so many more bytes. INVALID_ARGUMENT with reason RESPONSE_TOO_LARGE if they do not fit, and
  // then nothing does any more.
  absl::Status Take(size_t bytes);

 private:
  std::atomic<size_t> taken_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_ANSWER_ROOM_H_
