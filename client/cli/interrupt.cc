#include "client/cli/interrupt.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "client/cli/exit_code.h"

namespace tessera::cli {

InterruptWatcher::InterruptWatcher() {
  // Blocked here, before threads are started that would inherit the mask and take the signal.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, &previous_);
  signal_fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC);
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC);
  if (signal_fd_ >= 0 && stop_fd_ >= 0) {
    thread_ = std::thread([this] { Watch(); });
  } else {
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);  // as if there were no watcher
  }
}

InterruptWatcher::~InterruptWatcher() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    // An eventfd takes its first write at once.
    while (::write(stop_fd_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    thread_.join();
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
  }
  if (signal_fd_ >= 0) ::close(signal_fd_);
  if (stop_fd_ >= 0) ::close(stop_fd_);
}

void InterruptWatcher::Watch() {
  pollfd fds[] = {{signal_fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
  while (true) {
    if (::poll(fds, 2, -1) < 0) continue;  // EINTR
    if (fds[1].revents != 0) return;
    signalfd_siginfo info;
    if (::read(signal_fd_, &info, sizeof(info)) != sizeof(info)) continue;
    if (interrupted_.exchange(true)) ::_exit(static_cast<int>(ExitCode::kInterrupted));
  }
}

}  // namespace tessera::cli
