#ifndef TESSERA_TESTS_INTEGRATION_SUBPROCESS_H_
#define TESSERA_TESTS_INTEGRATION_SUBPROCESS_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tessera {

// A folder of its own below the system's place for temporary files, removed with all it holds.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A child process. It is killed with its owner: by the destructor, and by the kernel if this
// process dies (more exactly the thread that started it: start from one that lives on).
//
// Thread-compatible.
class Subprocess {
 public:
  struct Options {
    std::vector<std::string> arguments;              // the program's path first
    std::map<std::string, std::string> environment;  // beside ours, which loses its TESSERA_*
    std::string stdout_path;                         // appended to
    std::string stderr_path;                         // the same file as stdout_path if empty
  };

  static absl::StatusOr<std::unique_ptr<Subprocess>> Start(const Options& options);
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  // No effect once it has ended.
  void Signal(int signal);

  // The exit code (128 + the signal's number if a signal ended it), or nothing while it runs.
  std::optional<int> Poll();

  // Waits for the end. DEADLINE_EXCEEDED if it still runs then.
  absl::StatusOr<int> Wait(absl::Duration timeout);

 private:
  explicit Subprocess(pid_t pid) : pid_(pid) {}

  const pid_t pid_;
  std::optional<int> exit_code_;
};

struct CommandResult {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Runs a program to its end. DEADLINE_EXCEEDED, and the program killed, if that takes too long.
absl::StatusOr<CommandResult> RunCommand(const std::vector<std::string>& arguments,
                                         const std::map<std::string, std::string>& environment = {},
                                         absl::Duration timeout = absl::Seconds(120));

// The whole file; empty if it cannot be read.
std::string ReadWholeFile(const std::string& path);

// Exits on failure: tests write only into their own temporary folders.
void WriteWholeFile(const std::string& path, const std::string& bytes);

}  // namespace tessera

#endif  // TESSERA_TESTS_INTEGRATION_SUBPROCESS_H_
