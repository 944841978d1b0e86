#include "server/auth/secrets.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera {
namespace {

// By which a file is known again: when its contents change, so does one of these.
struct Stamp {
  uint64_t device = 0, inode = 0;
  int64_t size = 0, seconds = 0, nanoseconds = 0;
  bool operator==(const Stamp&) const = default;
};

// A pipe would be waited for.
bool IsRegular(const std::string& path) {
  struct stat file = {};
  return stat(path.c_str(), &file) != 0 || S_ISREG(file.st_mode);
}

Stamp StampOf(const std::string& path) {
  struct stat file = {};
  if (stat(path.c_str(), &file) != 0) return {};
  return {file.st_dev, file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec};
}

absl::Status AtFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  if (!IsRegular(path)) {
    return AtFile(path, absl::InvalidArgumentError("is not a regular file"));
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(limits::kAuthFileBytesMax + 1, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.is_open() || file.bad()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  bytes.resize(static_cast<size_t>(file.gcount()));
  if (bytes.size() > limits::kAuthFileBytesMax) {
    return AtFile(path, absl::InvalidArgumentError(
                            absl::StrCat("has more than ", limits::kAuthFileBytesMax, " bytes")));
  }
  return bytes;
}

}  // namespace

struct Secrets::Source {
  Source(std::vector<std::string> files, absl::Status (Secrets::*load)())
      : paths(std::move(files)), load(load) {
    Changed();
  }

  // Whether one of the files is another than when this was asked last.
  bool Changed() {
    std::vector<Stamp> now;
    for (const std::string& path : paths) now.push_back(StampOf(path));
    return std::exchange(stamps, now) != now;
  }

  std::vector<std::string> paths;
  absl::Status (Secrets::*load)();
  std::vector<Stamp> stamps;
  bool loaded = true;  // when that was tried last
};

absl::StatusOr<std::unique_ptr<Secrets>> Secrets::Open(SecretsOptions options) {
  auto secrets = std::unique_ptr<Secrets>(new Secrets(std::move(options)));
  const SecretsOptions& files = secrets->options_;
  std::vector<Source> sources;
  if (!files.api_keys_file.empty()) {
    sources.push_back({{files.api_keys_file}, &Secrets::LoadKeys});
  }
  if (!files.tls_cert_file.empty()) {
    sources.push_back({{files.tls_cert_file, files.tls_key_file}, &Secrets::LoadIdentity});
  }
  for (const Source& source : sources) {
    RETURN_IF_ERROR((secrets.get()->*source.load)());
  }
  if (!sources.empty()) {
    secrets->watcher_ =
        std::thread([secrets = secrets.get(), sources = std::move(sources)]() mutable {
          secrets->Watch(std::move(sources));
        });
  }
  return secrets;
}

Secrets::~Secrets() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (watcher_.joinable()) watcher_.join();
}

Access Secrets::AccessOf(std::string_view key) const {
  if (!needs_key()) return Access::kWrite;
  std::shared_ptr<const ApiKeys> keys;
  {
    absl::MutexLock lock(&mutex_);
    keys = keys_;
  }
  return keys->Find(key);
}

std::shared_ptr<const TlsIdentity> Secrets::identity() const {
  absl::MutexLock lock(&mutex_);
  return identity_;
}

absl::Status Secrets::LoadKeys() {
  const std::string& path = options_.api_keys_file;
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  absl::StatusOr<ApiKeys> keys = ApiKeys::Parse(text);
  if (!keys.ok()) return AtFile(path, keys.status());
  TellRead(absl::StrCat(path, ": ", keys->size(), " API keys"));
  absl::MutexLock lock(&mutex_);
  keys_ = std::make_shared<const ApiKeys>(*std::move(keys));
  return absl::OkStatus();
}

absl::Status Secrets::LoadIdentity() {
  const std::string& path = options_.tls_cert_file;
  ASSIGN_OR_RETURN(std::string chain, ReadSmallFile(path));
  ASSIGN_OR_RETURN(std::string key, ReadSmallFile(options_.tls_key_file));
  absl::StatusOr<TlsIdentity> identity = MakeTlsIdentity(std::move(chain), std::move(key));
  if (!identity.ok()) {
    return AtFile(absl::StrCat(path, ", ", options_.tls_key_file), identity.status());
  }
  const std::string expiry =
      absl::FormatTime(absl::RFC3339_sec, identity->expiry, absl::UTCTimeZone());
  if (identity->expiry < absl::Now()) {
    TellProblem(absl::StrCat(path, ": the certificate expired at ", expiry));
  } else {
    TellRead(absl::StrCat(path, ": a certificate that is valid until ", expiry));
  }
  absl::MutexLock lock(&mutex_);
  identity_ = std::make_shared<const TlsIdentity>(*std::move(identity));
  return absl::OkStatus();
}

void Secrets::Watch(std::vector<Source> sources) {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.interval)) return;
    }
    for (Source& source : sources) {
      // What could not be read may look the same once it can: no file was left to open, for one.
      const bool changed = source.Changed();
      if (!changed && source.loaded) continue;
      absl::Status status;
      try {
        status = (this->*source.load)();
      } catch (const std::exception& error) {
        status = absl::InternalError(error.what());
      }
      source.loaded = status.ok();
      if (changed && !status.ok()) {
        TellProblem(absl::StrCat(status.message(), "; what was read before stays in use"));
      }
    }
  }
}

void Secrets::TellRead(std::string_view message) const {
  if (options_.on_read) options_.on_read(message);
}

void Secrets::TellProblem(std::string_view message) const {
  if (options_.on_problem) options_.on_problem(message);
}

}  // namespace tessera
