#ifndef TESSERA_SERVER_AUTH_SECRETS_H_
#define TESSERA_SERVER_AUTH_SECRETS_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/auth/api_keys.h"
#include "server/auth/tls_identity.h"

namespace tessera {

struct SecretsOptions {
  std::string api_keys_file;  // empty: whoever can connect may do everything
  // Both or none; empty: plain text.
  std::string tls_cert_file;
  std::string tls_key_file;
  // How often a thread of its own looks whether a file has changed.
  absl::Duration interval = absl::Seconds(10);
  // Told of what is read, and of what cannot be used or is out of date; never of a secret. Called
  // from Open and from that thread; may be empty.
  std::function<void(std::string_view message)> on_read;
  std::function<void(std::string_view message)> on_problem;
};

// The files that say who may call and who the server is. They may be renewed while it runs: what
// has changed and can be used takes the place of what it was; what cannot is told, and the old
// stays. Thread-safe.
class Secrets {
 public:
  // The error names the file: as reading it fails, or INVALID_ARGUMENT.
  static absl::StatusOr<std::unique_ptr<Secrets>> Open(SecretsOptions options);
  ~Secrets();

  // Whether calls need a key, and what one may do: everything if none is needed.
  bool needs_key() const { return !options_.api_keys_file.empty(); }
  Access AccessOf(std::string_view key) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Null if there is none. The same pointer for as long as the files are the same.
  std::shared_ptr<const TlsIdentity> identity() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Files that are read together, and what they were when that was done last.
  struct Source;

  explicit Secrets(SecretsOptions options) : options_(std::move(options)) {}

  absl::Status LoadKeys() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status LoadIdentity() ABSL_LOCKS_EXCLUDED(mutex_);
  void Watch(std::vector<Source> sources) ABSL_LOCKS_EXCLUDED(mutex_);
  void TellRead(std::string_view message) const;
  void TellProblem(std::string_view message) const;

  const SecretsOptions options_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const ApiKeys> keys_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const TlsIdentity> identity_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watcher_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_AUTH_SECRETS_H_
