#include "server/snapshot/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "index/base/crc32c.h"
#include "index/base/status_macros.h"
#include "server/storage/store_error.h"

namespace tessera {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0640;

absl::Status Damaged(const std::string& what) {
  return StoreError(absl::StatusCode::kDataLoss, "SNAPSHOT_DAMAGED", what);
}

// Of an entry that was to be opened.
absl::Status OpenError(const std::string& name, int error) {
  if (error == ENOENT) return Damaged(absl::StrCat(name, " is missing"));
  if (error == ELOOP || error == ENOTDIR || error == ENXIO) {
    return Damaged(absl::StrCat(name, " is a link or of another kind than expected"));
  }
  return FileError("open", name, error);
}

class OpenedFile {
 public:
  explicit OpenedFile(int fd) : fd_(fd) {}
  ~OpenedFile() { close(fd_); }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

ssize_t ReadSome(int fd, char* out, size_t size) {
  ssize_t n;
  do {
    n = read(fd, out, size);
  } while (n < 0 && errno == EINTR);
  return n;
}

absl::Status WriteAll(int fd, const std::string& name, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return FileError("write", name, n < 0 ? errno : EIO);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Folder> Folder::Open(const std::string& path) {
  const int fd = open(path.c_str(), kFolderFlags);
  if (fd < 0) return OpenError(path, errno);
  return Folder(fd);
}

Folder::~Folder() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Folder> Folder::OpenFolder(const std::string& name) const {
  const int fd = openat(fd_, name.c_str(), kFolderFlags);
  if (fd < 0) return OpenError(name, errno);
  return Folder(fd);
}

absl::StatusOr<std::vector<std::string>> Folder::Names() const {
  // A description of its own: the position belongs to it.
  const int fd = openat(fd_, ".", kFolderFlags);
  if (fd < 0) return FileError("open", "a folder", errno);
  DIR* opened = fdopendir(fd);
  if (opened == nullptr) {
    close(fd);
    return FileError("read", "a folder", errno);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opened, closedir);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return FileError("read", "a folder", errno);
  std::sort(names.begin(), names.end());
  return names;
}

bool Folder::Has(const std::string& name) const {
  struct stat entry;
  return fstatat(fd_, name.c_str(), &entry, AT_SYMLINK_NOFOLLOW) == 0;
}

absl::Status Folder::MakeFolder(const std::string& name) const {
  if (mkdirat(fd_, name.c_str(), kFolderMode) == 0) return absl::OkStatus();
  if (errno == EEXIST) return absl::AlreadyExistsError(absl::StrCat(name, " exists already"));
  return FileError("make", name, errno);
}

absl::Status Folder::Rename(const std::string& from, const std::string& to) const {
  if (renameat(fd_, from.c_str(), fd_, to.c_str()) == 0) return absl::OkStatus();
  return FileError("rename", from, errno);
}

absl::Status Folder::WriteFile(const std::string& name, std::string_view bytes) const {
  const int fd =
      openat(fd_, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode);
  if (fd < 0) return FileError("create", name, errno);
  const OpenedFile file(fd);
  RETURN_IF_ERROR(WriteAll(fd, name, bytes));
  return fsync(fd) == 0 ? absl::OkStatus() : FileError("sync", name, errno);
}

absl::StatusOr<int> Folder::OpenFile(const std::string& name) const {
  // O_NONBLOCK: a pipe in the place of a file must not hold the server up.
  const int fd = openat(fd_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return OpenError(name, errno);
  struct stat entry;
  if (fstat(fd, &entry) != 0 || !S_ISREG(entry.st_mode)) {
    close(fd);
    return Damaged(absl::StrCat(name, " is no plain file"));
  }
  return fd;
}

absl::StatusOr<std::string> Folder::ReadFile(const std::string& name, uint64_t bytes_max) const {
  ASSIGN_OR_RETURN(const int fd, OpenFile(name));
  const OpenedFile file(fd);
  std::string bytes;
  std::string part(64 << 10, '\0');
  while (true) {
    const ssize_t n = ReadSome(fd, part.data(), part.size());
    if (n < 0) return FileError("read", name, errno);
    if (n == 0) return bytes;
    bytes.append(part.data(), static_cast<size_t>(n));
    if (bytes.size() > bytes_max) {
      return Damaged(absl::StrCat(name, " has more than ", bytes_max, " bytes"));
    }
  }
}

absl::StatusOr<Folder::Checksum> Folder::ChecksumFile(const std::string& name,
                                                      const BytesRead& bytes_read) const {
  ASSIGN_OR_RETURN(const int fd, OpenFile(name));
  const OpenedFile file(fd);
  Checksum checksum;
  std::string part(kReadBytes, '\0');
  while (true) {
    const ssize_t n = ReadSome(fd, part.data(), part.size());
    if (n < 0) return FileError("read", name, errno);
    if (n == 0) return checksum;
    checksum.bytes += static_cast<uint64_t>(n);
    checksum.crc = ExtendCrc32c(checksum.crc, part.data(), static_cast<size_t>(n));
    if (!bytes_read(static_cast<uint64_t>(n))) return absl::CancelledError("cancelled");
  }
}

absl::Status Folder::SyncFile(const std::string& name) const {
  ASSIGN_OR_RETURN(const int fd, OpenFile(name));
  const OpenedFile file(fd);
  return fsync(fd) == 0 ? absl::OkStatus() : FileError("sync", name, errno);
}

absl::Status Folder::Sync() const {
  return fsync(fd_) == 0 ? absl::OkStatus() : FileError("sync", "a folder", errno);
}

absl::Status Folder::Remove(const std::string& name) const {
  if (unlinkat(fd_, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return FileError("remove", name, errno);
  {
    ASSIGN_OR_RETURN(const Folder below, OpenFolder(name));
    ASSIGN_OR_RETURN(const std::vector<std::string> names, below.Names());
    for (const std::string& entry : names) RETURN_IF_ERROR(below.Remove(entry));
  }
  if (unlinkat(fd_, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return absl::OkStatus();
  return FileError("remove", name, errno);
}

}  // namespace tessera
