#include "server/storage/high_water.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/byte_io.h"
#include "index/base/crc32c.h"
#include "index/base/status_macros.h"
#include "server/storage/store_error.h"

namespace tessera {
namespace {

constexpr uint32_t kMagic = 0x4D485354;  // "TSHM"
constexpr int kCopies = 2;
constexpr size_t kCopyBytes = 16;
// Each copy in a sector of its own: a torn write hits one of them.
constexpr off_t kCopyDistance = 4096;

absl::Status IoError(std::string_view what, const std::string& path) {
  return FileError(what, FileNameOf(path), errno);
}

std::string EncodeCopy(uint64_t mark) {
  ByteWriter writer;
  writer.WriteU32(kMagic);
  writer.WriteU64(mark);
  writer.WriteU32(Crc32c(writer.view()));
  return writer.Take();
}

bool DecodeCopy(std::string_view bytes, uint64_t* mark) {
  ByteReader reader(bytes);
  uint32_t magic = 0;
  uint32_t crc = 0;
  return reader.ReadU32(&magic) && reader.ReadU64(mark) && reader.ReadU32(&crc) &&
         magic == kMagic && crc == Crc32c(bytes.substr(0, kCopyBytes - 4));
}

ssize_t ReadFully(int fd, char* out, size_t size, off_t offset) {
  ssize_t n;
  do {
    n = pread(fd, out, size, offset);
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HighWater>> HighWater::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return IoError("open", path);
  std::unique_ptr<HighWater> file(new HighWater(path, fd));
  absl::MutexLock lock(&file->mutex_);
  RETURN_IF_ERROR(file->Load());
  // Gives a new file its blocks now: later writes are in place and need no space on the disk.
  if (file->mark_ == 0) {
    for (int copy = 0; copy < kCopies; ++copy) RETURN_IF_ERROR(file->WriteCopy(0));
  }
  return file;
}

absl::StatusOr<uint64_t> HighWater::Read(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return uint64_t{0};
  if (fd < 0) return IoError("open", path);
  HighWater file(path, fd);
  absl::MutexLock lock(&file.mutex_);
  RETURN_IF_ERROR(file.Load());
  return file.mark_;
}

HighWater::~HighWater() { close(fd_); }

absl::Status HighWater::Load() {
  int whole = 0;
  int present = 0;
  for (int copy = 0; copy < kCopies; ++copy) {
    char bytes[kCopyBytes];
    const ssize_t n = ReadFully(fd_, bytes, kCopyBytes, copy * kCopyDistance);
    if (n < 0) return IoError("read", path_);
    // A copy that was never written reads as zeros, or as the end of the file.
    const std::string_view read(bytes, static_cast<size_t>(n));
    if (read.find_first_not_of('\0') == std::string_view::npos) continue;
    ++present;
    uint64_t mark = 0;
    if (!DecodeCopy(read, &mark)) continue;
    ++whole;
    if (mark >= mark_) {
      mark_ = mark;
      next_copy_ = (copy + 1) % kCopies;  // the older copy is overwritten first
    }
  }
  if (present > 0 && whole == 0) {
    return StoreError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                      absl::StrCat(FileNameOf(path_), ": no copy of the mark is whole"));
  }
  return absl::OkStatus();
}

uint64_t HighWater::mark() const {
  absl::MutexLock lock(&mutex_);
  return mark_;
}

absl::Status HighWater::Raise(uint64_t mark) {
  absl::MutexLock lock(&mutex_);
  return mark <= mark_ ? absl::OkStatus() : WriteCopy(mark);
}

absl::Status HighWater::WriteCopy(uint64_t mark) {
  const std::string bytes = EncodeCopy(mark);
  ssize_t n;
  do {
    n = pwrite(fd_, bytes.data(), bytes.size(), next_copy_ * kCopyDistance);
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(bytes.size())) return IoError("write", path_);
  mark_ = mark;
  next_copy_ = (next_copy_ + 1) % kCopies;
  return absl::OkStatus();
}

absl::Status HighWater::Sync() {
  absl::MutexLock lock(&mutex_);
  if (fsync(fd_) != 0) return IoError("sync", path_);
  return absl::OkStatus();
}

}  // namespace tessera
