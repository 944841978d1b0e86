#include "server/storage/row_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/byte_io.h"
#include "index/base/crc32c.h"
#include "index/base/status_macros.h"
#include "server/storage/store_error.h"
#include "server/storage/store_files.h"

namespace tessera {
namespace {

constexpr std::string_view kMagic = "TESSROW\n";
constexpr uint32_t kVersion = 1;
constexpr uint32_t kComplete = 1;
constexpr uint32_t kClean = 2;
constexpr size_t kBootIdBytes = 36;
constexpr size_t kHeadBytes = 8 + 4 + 4 + 8 + 4 + 4 + kBootIdBytes + 8 + 8 + 4;
// The head has a page of its own, so that no write of it is torn by a kill.
constexpr off_t kRowsOffset = 4096;
constexpr uint64_t kRoomStep = uint64_t{64} << 20;
constexpr size_t kWriteBytes = size_t{1} << 20;  // rows in a row that go out in one call

bool WriteFully(int fd, std::string_view bytes, off_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += n;
  }
  return true;
}

bool SyncData(int fd) { return fdatasync(fd) == 0; }

}  // namespace

std::string RowFile::SystemBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  return std::getline(file, id) && id.size() == kBootIdBytes ? id : "";
}

absl::StatusOr<std::unique_ptr<RowFile>> RowFile::Open(const RowFileOptions& options,
                                                       uint64_t sequence) {
  const int fd = open(options.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return FileError("open", FileNameOf(options.path), errno);
  RowFileOptions complete = options;
  if (complete.boot_id.empty()) complete.boot_id = SystemBootId();
  if (complete.reader == nullptr) complete.reader = std::make_shared<CachedReader>();
  std::unique_ptr<RowFile> file(new RowFile(complete, fd));
  // One row here and one there: what the kernel would read around them is not wanted.
  posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);

  absl::MutexLock lock(&file->mutex_);
  const std::optional<Head> head = ReadHead(fd);
  // While the kernel lives, it has what was written; later, only what is on disk counts. A store
  // that has been taken back to an older state, or written to without this file, has another
  // sequence.
  const bool good =
      head.has_value() && head->collection == options.collection &&
      head->create_time_ms == options.create_time_ms && head->row_bytes == options.row_bytes &&
      head->complete && head->before <= sequence && sequence <= head->after &&
      (head->clean || (!complete.boot_id.empty() && head->boot_id == complete.boot_id));
  if (good) {
    file->head_ = *head;
    file->complete_.store(true, std::memory_order_release);
  } else {
    RETURN_IF_ERROR(file->StartAnew(sequence));
  }
  return file;
}

RowFile::~RowFile() { close(fd_); }

std::optional<size_t> RowFile::RowBytesOf(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const std::optional<Head> head = ReadHead(fd);
  close(fd);
  if (!head.has_value()) return std::nullopt;
  return head->row_bytes;
}

std::optional<RowFile::Head> RowFile::ReadHead(int fd) {
  char bytes[kHeadBytes];
  if (pread(fd, bytes, kHeadBytes, 0) != static_cast<ssize_t>(kHeadBytes)) return std::nullopt;
  const std::string_view view(bytes, kHeadBytes);
  ByteReader reader(view);
  std::string_view magic;
  std::string_view boot_id;
  uint32_t version = 0, flags = 0, checksum = 0;
  Head head;
  const bool whole = reader.ReadBytes(kMagic.size(), &magic) && reader.ReadU32(&version) &&
                     reader.ReadU32(&head.collection) && reader.ReadI64(&head.create_time_ms) &&
                     reader.ReadU32(&head.row_bytes) && reader.ReadU32(&flags) &&
                     reader.ReadBytes(kBootIdBytes, &boot_id) && reader.ReadU64(&head.before) &&
                     reader.ReadU64(&head.after) && reader.ReadU32(&checksum);
  if (!whole || magic != kMagic || version != kVersion ||
      checksum != Crc32c(view.substr(0, kHeadBytes - sizeof(checksum)))) {
    return std::nullopt;
  }
  head.boot_id = boot_id;
  head.complete = (flags & kComplete) != 0;
  head.clean = (flags & kClean) != 0;
  return head;
}

bool RowFile::WriteHead() {
  ByteWriter writer;
  writer.WriteBytes(kMagic);
  writer.WriteU32(kVersion);
  writer.WriteU32(head_.collection);
  writer.WriteI64(head_.create_time_ms);
  writer.WriteU32(head_.row_bytes);
  writer.WriteU32((head_.complete ? kComplete : 0) | (head_.clean ? kClean : 0));
  std::string boot_id = options_.boot_id;
  boot_id.resize(kBootIdBytes);
  writer.WriteBytes(boot_id);
  writer.WriteU64(head_.before);
  writer.WriteU64(head_.after);
  writer.WriteU32(Crc32c(writer.view()));
  return WriteFully(fd_, writer.view(), 0);
}

absl::Status RowFile::StartAnew(uint64_t sequence) {
  head_ = {.collection = options_.collection,
           .create_time_ms = options_.create_time_ms,
           .row_bytes = static_cast<uint32_t>(options_.row_bytes),
           .boot_id = options_.boot_id,
           .before = sequence,
           .after = sequence};
  // On disk before anything else is: an old head must not come back over new rows.
  if (ftruncate(fd_, 0) != 0 || !WriteHead() || !SyncData(fd_)) {
    return FileError("write", FileNameOf(options_.path), errno);
  }
  return absl::OkStatus();
}

off_t RowFile::RowOffset(Slot slot) const {
  return kRowsOffset + static_cast<off_t>(size_t{slot} * row_distance());
}

// Never 0, which is what a place without a row has.
uint32_t RowFile::Checksum(Slot slot, const std::byte* row) const {
  const uint32_t checksum = ExtendCrc32c(Crc32c(&slot, sizeof(slot)), row, options_.row_bytes);
  return checksum == 0 ? 1 : checksum;
}

std::vector<size_t> RowFile::ReadWhatIsCached(std::span<const Slot> slots, std::byte* out,
                                              bool* found) const {
  std::vector<CachedRead> reads(slots.size());
  std::vector<uint32_t> checksums(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    reads[i] = {.offset = RowOffset(slots[i]),
                .parts = {{{out + i * options_.row_bytes, options_.row_bytes},
                           {&checksums[i], sizeof(checksums[i])}}}};
  }
  options_.reader->Read(fd_, reads);
  std::vector<size_t> waiting;
  for (size_t i = 0; i < slots.size(); ++i) {
    // Short, too, where only the first of its pages is in memory.
    const bool whole = reads[i].result == static_cast<ssize_t>(row_distance());
    found[i] = whole && checksums[i] == Checksum(slots[i], out + i * options_.row_bytes);
    if (!whole) waiting.push_back(i);
  }
  return waiting;
}

void RowFile::Read(std::span<const Slot> slots, std::byte* out, bool* found) const {
  std::fill_n(found, slots.size(), false);
  if (!is_usable()) return;
  const std::vector<size_t> waiting = ReadWhatIsCached(slots, out, found);
  for (size_t i : waiting) {
    posix_fadvise(fd_, RowOffset(slots[i]), static_cast<off_t>(row_distance()),
                  POSIX_FADV_WILLNEED);
  }
  for (size_t i : waiting) found[i] = ReadRow(slots[i], out + i * options_.row_bytes);
}

bool RowFile::ReadCached(std::span<const Slot> slots, std::byte* out, bool* found) const {
  if (!is_usable()) return false;
  ReadWhatIsCached(slots, out, found);
  return std::all_of(found, found + slots.size(), [](bool is) { return is; });
}

bool RowFile::ReadRow(Slot slot, std::byte* out) const {
  uint32_t checksum = 0;
  const iovec parts[] = {{out, options_.row_bytes}, {&checksum, sizeof(checksum)}};
  ssize_t n;
  do {
    n = preadv(fd_, parts, 2, RowOffset(slot));
  } while (n < 0 && errno == EINTR);
  return n == static_cast<ssize_t>(row_distance()) && checksum == Checksum(slot, out);
}

void RowFile::BeginCommit(uint64_t before, uint64_t after) {
  absl::MutexLock lock(&mutex_);
  if (!is_usable()) return;
  const bool was_clean = std::exchange(head_.clean, false);
  head_.before = before;
  head_.after = after;
  // After a power cut the disk must not say that it has rows as they were when the file was closed.
  if (!WriteHead() || (was_clean && !SyncData(fd_))) GiveUpLocked("its head cannot be written");
}

void RowFile::Write(std::span<const Slot> slots, const std::byte* rows) {
  absl::MutexLock lock(&mutex_);
  if (!is_usable()) return;
  if (!is_complete()) {
    for (Slot slot : slots) {
      if (slot >= written_.size()) written_.resize(slot + size_t{slot} / 8 + 1);
      written_[slot] = true;
    }
  }
  WriteRows(slots, rows);
}

void RowFile::Fill(std::span<const Slot> slots, const std::byte* rows) {
  absl::MutexLock lock(&mutex_);
  if (!is_usable()) return;
  for (size_t i = 0; i < slots.size();) {
    // Runs between slots that have been given to other points since.
    size_t end = i;
    while (end < slots.size() && (slots[end] >= written_.size() || !written_[slots[end]])) ++end;
    if (end > i) WriteRows(slots.subspan(i, end - i), rows + i * options_.row_bytes);
    i = end + 1;
  }
}

void RowFile::WriteRows(std::span<const Slot> slots, const std::byte* rows) {
  for (size_t i = 0; i < slots.size() && is_usable();) {
    // Slots one after the other go out together.
    buffer_.clear();
    const Slot first = slots[i];
    do {
      const std::byte* row = rows + i * options_.row_bytes;
      const uint32_t checksum = Checksum(slots[i], row);
      buffer_.append(reinterpret_cast<const char*>(row), options_.row_bytes);
      buffer_.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
      ++i;
    } while (i < slots.size() && slots[i] == slots[i - 1] + 1 && buffer_.size() < kWriteBytes);
    const off_t offset = RowOffset(first);
    if (!MakeRoom(static_cast<uint64_t>(offset) + buffer_.size())) {
      GiveUpLocked("the disk is nearly full");
    } else if (!WriteFully(fd_, buffer_, offset)) {
      GiveUpLocked("a row cannot be written");
    }
  }
}

// Looks at the disk once a step only.
bool RowFile::MakeRoom(uint64_t end) {
  if (end <= room_end_) return true;
  const uint64_t wanted = (end + kRoomStep - 1) / kRoomStep * kRoomStep;
  const std::string directory = std::filesystem::path(options_.path).parent_path();
  const bool room = CheckFreeBytes(directory, 2 * options_.free_disk_bytes_min, "").ok();
  if (room) room_end_ = wanted;
  return room;
}

void RowFile::Shrink(uint64_t end) {
  absl::MutexLock lock(&mutex_);
  struct stat file;
  const auto size = kRowsOffset + static_cast<off_t>(end * row_distance());
  if (!is_usable() || fstat(fd_, &file) != 0 || file.st_size <= size) return;
  if (ftruncate(fd_, size) == 0) room_end_ = std::min(room_end_, static_cast<uint64_t>(size));
}

void RowFile::SetComplete() {
  absl::MutexLock lock(&mutex_);
  if (!is_usable()) return;
  head_.complete = true;
  if (!WriteHead()) {
    GiveUpLocked("its head cannot be written");
    return;
  }
  written_ = {};
  complete_.store(true, std::memory_order_release);
}

void RowFile::GiveUp(std::string_view reason) {
  absl::MutexLock lock(&mutex_);
  if (is_usable()) GiveUpLocked(reason);
}

void RowFile::GiveUpLocked(std::string_view reason) {
  Log(absl::StrCat("the copy ", FileNameOf(options_.path), " is given up: ", std::string(reason)));
  RemoveLocked();
}

void RowFile::Remove() {
  absl::MutexLock lock(&mutex_);
  RemoveLocked();
}

// Readers may be in the file: it stays open, but empty and without a name.
void RowFile::RemoveLocked() {
  usable_.store(false, std::memory_order_relaxed);
  unlink(options_.path.c_str());
  if (ftruncate(fd_, 0) != 0) {
    Log(absl::StrCat("the room of ", FileNameOf(options_.path),
                     " comes back at the next start only"));
  }
}

void RowFile::Close(uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (!is_usable() || !is_complete()) return;
  if (!SyncData(fd_)) {
    GiveUpLocked("it cannot be synced");
    return;
  }
  head_.clean = true;
  head_.before = head_.after = sequence;
  if (!WriteHead() || !SyncData(fd_)) GiveUpLocked("its head cannot be written");
}

uint64_t RowFile::disk_bytes() const {
  struct stat file;
  return fstat(fd_, &file) == 0 ? static_cast<uint64_t>(file.st_blocks) * 512 : 0;
}

}  // namespace tessera
