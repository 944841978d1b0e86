#ifndef TESSERA_TESTS_SERVER_STORAGE_CHILD_PROCESS_H_
#define TESSERA_TESTS_SERVER_STORAGE_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tessera {

// A process that writes 8-byte numbers to its standard output: the commits it has been promised.
// Not thread-safe.
class ChildProcess {
 public:
  explicit ChildProcess(std::vector<std::string> arguments);
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void Kill();
  // Waits for the end. The state is that of waitpid.
  int Wait();
  // The last number written, or `before` if there was none. Call it after Wait().
  uint64_t LastNumber(uint64_t before);

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_STORAGE_CHILD_PROCESS_H_
