#ifndef TESSERA_INDEX_BASE_CHECK_H_
#define TESSERA_INDEX_BASE_CHECK_H_

namespace tessera {

// Prints the place and the condition to standard error and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace tessera

// Aborts if an invariant of our own code is broken; stays on in release builds. Never for bad
// input, which is a Status.
#define TESSERA_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::tessera::CheckFailed(__FILE__, __LINE__, #condition))

#endif  // TESSERA_INDEX_BASE_CHECK_H_
