#ifndef TESSERA_TESTS_FAULT_WORKLOAD_H_
#define TESSERA_TESTS_FAULT_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/base/executor.h"
#include "server/engine/engine.h"
#include "server/storage/store.h"

namespace tessera {

// A short life of an engine: a collection is made, points are written, replaced and deleted, and in
// between it is trained and a snapshot is made. Always the same, so that what must be there after
// any number of its writes is known.
class Workload {
 public:
  static constexpr uint64_t kWrites = 24;

  // Opens the engine of a data directory over its store.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(const std::string& data_dir,
                                                      std::unique_ptr<Store> store,
                                                      Executor& executor);
  // The n-th write, from 0.
  static absl::Status Write(Engine& engine, uint64_t n);
  // The training or snapshot that comes after the n-th write, if one does. It may fail: nothing
  // that a client has written depends on it.
  static void WorkAfter(Engine& engine, uint64_t n);

  // Payloads by id, which tell the version of each point, after the first `writes`.
  using Points = std::map<uint64_t, std::string>;
  static Points After(uint64_t writes);
  // What the engine holds: by scroll, and confirmed by count and by an exact search.
  static absl::StatusOr<Points> Held(Engine& engine);
};

}  // namespace tessera

#endif  // TESSERA_TESTS_FAULT_WORKLOAD_H_
