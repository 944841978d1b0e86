#ifndef TESSERA_SERVER_RPC_STREAM_REGISTRY_H_
#define TESSERA_SERVER_RPC_STREAM_REGISTRY_H_

#include <unordered_set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tessera {

// A stream that can be asked to end.
class StoppableStream {
 public:
  virtual ~StoppableStream() = default;
  // Ends the stream with SERVER_STOPPING once the step it is in is done. Called at most once.
  virtual void Stop() = 0;
};

// The open streams, so that a stopping server need not wait for idle ones. Thread-safe.
class StreamRegistry {
 public:
  void Add(StoppableStream* stream);
  // On return nobody calls the stream any more: it may be deleted.
  void Remove(StoppableStream* stream);
  // Stops every open stream, and at once each that is added later.
  void StopAll();

 private:
  absl::Mutex mutex_;
  std::unordered_set<StoppableStream*> streams_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_STREAM_REGISTRY_H_
