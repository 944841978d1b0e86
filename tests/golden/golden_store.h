#ifndef TESSERA_TESTS_GOLDEN_GOLDEN_STORE_H_
#define TESSERA_TESTS_GOLDEN_GOLDEN_STORE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/base/executor.h"
#include "server/engine/engine.h"

namespace tessera {

// A small data directory with one of each: tables and a log, a trained collection of bytes and one
// of floats without training, numbers and strings as ids, payloads, replaced and deleted points, a
// payload index, a collection whose lists have been split, a snapshot. The same at every call, up
// to what RocksDB numbers and to how far splitting has come.
absl::Status WriteGoldenStore(const std::string& data_dir);

// Opens the data directory as a server does.
absl::StatusOr<std::unique_ptr<Engine>> OpenGoldenStore(const std::string& data_dir,
                                                        Executor& executor);

// All that a client can see of it, as text: every point with its bytes, and the answers of
// searches. Scores are given where they are exact on every machine. Errors are those of the calls.
absl::StatusOr<std::string> DescribeStore(Engine& engine);

// Snapshots it has, each restored under another name and described.
absl::StatusOr<std::string> DescribeSnapshots(Engine& engine);

}  // namespace tessera

#endif  // TESSERA_TESTS_GOLDEN_GOLDEN_STORE_H_
