#include "tests/integration/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/check.h"
#include "index/base/status_macros.h"

namespace tessera {
namespace {

constexpr int kExecFailed = 127;

std::vector<std::string> MakeEnvironment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    // Settings of whoever runs the tests must not reach the programs under test.
    if (name.rfind("TESSERA_", 0) != 0 && !added.contains(name)) result.push_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(absl::StrCat(name, "=", value));
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

absl::StatusOr<int> OpenForAppend(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return absl::InternalError(absl::StrCat(path, ": ", strerror(errno)));
  return fd;
}

}  // namespace

TempFolder::TempFolder() {
  std::string path = (std::filesystem::temp_directory_path() / "tessera-test-XXXXXX").string();
  TESSERA_CHECK(mkdtemp(path.data()) != nullptr);
  path_ = path;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

absl::StatusOr<std::unique_ptr<Subprocess>> Subprocess::Start(const Options& options) {
  // All that allocates comes before the fork: other threads may hold the allocator's locks.
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = MakeEnvironment(options.environment);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  ASSIGN_OR_RETURN(const int out, OpenForAppend(options.stdout_path));
  const std::string& err_path =
      options.stderr_path.empty() ? options.stdout_path : options.stderr_path;
  ASSIGN_OR_RETURN(const int err, OpenForAppend(err_path));
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kExecFailed);  // it died before the call above
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    syscall(SYS_close_range, 3u, ~0u, 0u);  // sockets of this process stay with it
    execve(argv[0], argv.data(), envp.data());
    _exit(kExecFailed);
  }
  const int fork_error = errno;
  close(in);
  close(out);
  close(err);
  if (pid < 0) return absl::InternalError(absl::StrCat("fork: ", strerror(fork_error)));
  return std::unique_ptr<Subprocess>(new Subprocess(pid));
}

Subprocess::~Subprocess() {
  if (Poll().has_value()) return;
  Signal(SIGKILL);
  Wait(absl::InfiniteDuration()).IgnoreError();
}

void Subprocess::Signal(int signal) {
  // Until it has been waited for, its id cannot be another process's.
  if (!exit_code_.has_value()) kill(pid_, signal);
}

std::optional<int> Subprocess::Poll() {
  int status = 0;
  if (!exit_code_.has_value() && waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

absl::StatusOr<int> Subprocess::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!Poll().has_value()) {
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("process ", pid_, " has not ended"));
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  return *exit_code_;
}

absl::StatusOr<CommandResult> RunCommand(const std::vector<std::string>& arguments,
                                         const std::map<std::string, std::string>& environment,
                                         absl::Duration timeout) {
  const TempFolder folder;
  const std::string out = folder.File("out");
  const std::string err = folder.File("err");
  ASSIGN_OR_RETURN(auto process, Subprocess::Start({.arguments = arguments,
                                                    .environment = environment,
                                                    .stdout_path = out,
                                                    .stderr_path = err}));
  ASSIGN_OR_RETURN(const int exit_code, process->Wait(timeout));
  return CommandResult{exit_code, ReadWholeFile(out), ReadWholeFile(err)};
}

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

void WriteWholeFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  TESSERA_CHECK(file.good());
}

}  // namespace tessera
