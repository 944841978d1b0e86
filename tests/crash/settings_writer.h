#ifndef TESSERA_TESTS_CRASH_SETTINGS_WRITER_H_
#define TESSERA_TESTS_CRASH_SETTINGS_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "client/cpp/client.h"

namespace tessera {

// A client that changes the settings of a collection until the server dies: each change numbers the
// collection's metadata one higher. After a crash the number is the last that was acknowledged, or
// that of the change in flight. Run() on one thread; the rest before or after it.
class SettingsWriter {
 public:
  explicit SettingsWriter(std::string collection) : collection_(std::move(collection)) {}

  // Changes until a call fails.
  void Run(Client& client);

  // Takes over what a restarted server holds, if it may hold it.
  absl::Status Reconcile(const v1::Collection& stored);

  // The metadata that the collection has: "" before the first change.
  const std::string& metadata() const { return metadata_; }
  // Takes over another state as what is stored: the collection was restored from a snapshot.
  void SetMetadata(std::string metadata) { metadata_ = std::move(metadata); }

  size_t changes_acknowledged() const { return changes_acknowledged_; }
  absl::Status last_error() const { return last_error_; }

 private:
  const std::string collection_;
  std::string metadata_;   // acknowledged
  std::string in_flight_;  // "": none
  uint64_t next_ = 1;
  size_t changes_acknowledged_ = 0;
  absl::Status last_error_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_CRASH_SETTINGS_WRITER_H_
