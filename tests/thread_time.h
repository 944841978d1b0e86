#ifndef TESSERA_TESTS_THREAD_TIME_H_
#define TESSERA_TESTS_THREAD_TIME_H_

#include <time.h>

namespace tessera {

// Seconds of the processor that the calling thread has taken: what else runs does not count.
inline double ThreadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace tessera

#endif  // TESSERA_TESTS_THREAD_TIME_H_
