#ifndef TESSERA_SERVER_RPC_POLLING_THREADS_H_
#define TESSERA_SERVER_RPC_POLLING_THREADS_H_

#include <cstddef>
#include <memory>
#include <vector>

namespace tessera {

// Keeps some of the threads asleep that gRPC polls with. Its callback API starts half as many as
// there are cores, two at least, and has no setting for it. They take turns: whichever receives a
// message first wakes another to poll in its place, and whatever it completes itself kicks that one
// out of its wait again. A search of 25 us came to seven futex calls and eight switches of threads;
// with one thread that polls it is none and one, and the call costs half. Longer work goes to the
// worker pools, so that a quarter of the cores, one at least, can poll for the rest. With another
// gRPC than the one that this has been tried with, all threads poll.
//
// For a process that has one server, and at most one of these: what several hold could be all of
// them. The destructor lets them go; gRPC's shutdown needs that.
class PollingThreads {
 public:
  PollingThreads();
  ~PollingThreads();
  PollingThreads(const PollingThreads&) = delete;
  PollingThreads& operator=(const PollingThreads&) = delete;

  // How many threads are kept asleep on a machine of so many cores.
  static size_t CountToHold(size_t cores);

 private:
  class Hold;
  std::vector<std::unique_ptr<Hold>> holds_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_POLLING_THREADS_H_
