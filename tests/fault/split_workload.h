#ifndef TESSERA_TESTS_FAULT_SPLIT_WORKLOAD_H_
#define TESSERA_TESTS_FAULT_SPLIT_WORKLOAD_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "server/storage/store.h"

namespace tessera {

// A collection whose lists are lopsided, and what it does about that, step by step and always the
// same, with writes between the steps.
class SplitWorkload {
 public:
  static constexpr uint64_t kPoints = 1'400;  // before the first write
  static constexpr uint64_t kPointsPerWrite = 5;
  static constexpr uint32_t kLists = 16;

  // Makes the collection, its vectors on disk, in an empty data directory; no list is split yet.
  static absl::Status Prepare(const std::string& data_dir);
  // Writes points and takes a step of upkeep, by turns, until no list is too long. `written` is
  // called with the number of writes after each: false ends it. The first write that fails is
  // returned; a step may fail, and is tried again.
  static absl::Status Run(Store& store, const std::function<bool(uint64_t writes)>& written);
  // OK if the data directory holds what `writes` writes have left: every point, with its code, as
  // scroll, count and a scan of all lists say.
  static absl::Status Check(const std::string& data_dir, uint64_t writes);
};

}  // namespace tessera

#endif  // TESSERA_TESTS_FAULT_SPLIT_WORKLOAD_H_
