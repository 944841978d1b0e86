#include "server/rpc/stream_registry.h"

namespace tessera {

void StreamRegistry::Add(StoppableStream* stream) {
  absl::MutexLock lock(&mutex_);
  streams_.insert(stream);
  if (stopping_) stream->Stop();
}

void StreamRegistry::Remove(StoppableStream* stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

void StreamRegistry::StopAll() {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  stopping_ = true;
  for (StoppableStream* stream : streams_) stream->Stop();
}

}  // namespace tessera
