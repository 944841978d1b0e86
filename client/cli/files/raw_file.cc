#include "client/cli/files/raw_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr uint64_t kLineBufferBytes = 1 << 20;
// Some editors begin a file of UTF-8 with it.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

RawFile::RawFile(std::string path, int fd, uint64_t size)
    : path_(std::move(path)), fd_(fd), size_(size) {}

RawFile::~RawFile() { ::close(fd_); }

absl::StatusOr<std::unique_ptr<RawFile>> RawFile::Open(const std::string& path) {
  // A pipe that nobody writes to would be waited for.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open"));
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    ::close(fd);
    return absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot examine"));
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  return std::unique_ptr<RawFile>(new RawFile(path, fd, static_cast<uint64_t>(info.st_size)));
}

absl::Status RawFile::Read(uint64_t offset, uint64_t bytes, std::string* out) const {
  out->clear();
  if (offset > size_ || bytes > size_ - offset) {
    return absl::DataLossError(
        absl::StrCat(path_, ": byte ", size_, ": the file ends before byte ", offset + bytes));
  }
  out->resize(bytes);
  uint64_t done = 0;
  while (done < bytes) {
    const ssize_t n =
        ::pread(fd_, out->data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (n > 0) {
      done += static_cast<uint64_t>(n);
    } else if (n == 0) {
      return absl::DataLossError(
          absl::StrCat(path_, ": byte ", offset + done, ": the file shrank while it was read"));
    } else if (errno != EINTR) {
      return absl::ErrnoToStatus(errno,
                                 absl::StrCat(path_, ": cannot read at byte ", offset + done));
    }
  }
  return absl::OkStatus();
}

absl::Status RawFile::Annotate(const absl::Status& status) const {
  return absl::Status(status.code(), absl::StrCat(path_, ": ", status.message()));
}

LineReader::LineReader(std::unique_ptr<RawFile> file, size_t line_bytes_max)
    : file_(std::move(file)), line_bytes_max_(line_bytes_max) {}

absl::StatusOr<bool> LineReader::Next(std::string_view* line) {
  size_t end = buffer_.find('\n', position_);
  while (end == std::string::npos && offset_ < file_->size()) {
    // One more may be the \r of an end that is not all there.
    if (buffer_.size() - position_ > line_bytes_max_ + 1) break;
    const size_t searched = buffer_.size() - position_;
    buffer_.erase(0, position_);
    position_ = 0;
    std::string more;
    RETURN_IF_ERROR(
        file_->Read(offset_, std::min(kLineBufferBytes, file_->size() - offset_), &more));
    offset_ += more.size();
    buffer_ += more;
    end = buffer_.find('\n', searched);
  }
  if (end == std::string::npos) {
    if (position_ == buffer_.size()) return false;
    if (offset_ < file_->size()) {
      ++line_number_;
      return TooLong();
    }
    end = buffer_.size();
  }
  ++line_number_;
  std::string_view text = std::string_view(buffer_).substr(position_, end - position_);
  position_ = std::min(end + 1, buffer_.size());
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (line_number_ == 1 && text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  if (text.size() > line_bytes_max_) {
    return TooLong();
  }
  *line = text;
  return true;
}

absl::Status LineReader::TooLong() const {
  return Error(absl::StrCat("longer than the limit of ", line_bytes_max_, " bytes"));
}

absl::Status LineReader::Error(std::string_view message) const {
  return absl::InvalidArgumentError(
      absl::StrCat(file_->path(), ", line ", line_number_, ": ", std::string(message)));
}

}  // namespace tessera::cli
