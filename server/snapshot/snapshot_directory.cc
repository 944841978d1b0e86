#include "server/snapshot/snapshot_directory.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/storage/store_error.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr char kManifest[] = "MANIFEST";
constexpr char kStore[] = "store";
constexpr char kUnfinished[] = ".tmp";
// What an id looks like: d a decimal digit, x a lower-case hexadecimal one.
constexpr std::string_view kIdForm = "dddddddd-dddddd-ddd-xxxx";
constexpr int kIdTries = 10;

absl::Status Damaged(const std::string& what) {
  return StoreError(absl::StatusCode::kDataLoss, "SNAPSHOT_DAMAGED", what);
}

absl::Status TooMany() {
  return StoreError(absl::StatusCode::kResourceExhausted, "TOO_MANY_SNAPSHOTS",
                    absl::StrCat("at most ", limits::kSnapshotsMax, " snapshots are kept"));
}

bool Fits(char c, char form) {
  if (form == '-') return c == '-';
  return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
         (form == 'x' && c >= 'a' && c <= 'f');
}

// The time of its creation, so that the order of ids is that of time, and something random.
std::string NewId(int64_t create_time_ms) {
  const absl::Time time = absl::FromUnixMillis(create_time_ms);
  return absl::StrCat(
      absl::FormatTime("%Y%m%d-%H%M%S", time, absl::UTCTimeZone()), "-",
      absl::StrFormat("%03d-%04x", create_time_ms % 1000, std::random_device()() & 0xFFFF));
}

uint64_t SizeOf(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const uint64_t size = entry.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

absl::Status Unknown(const std::string& id) {
  return StoreError(absl::StatusCode::kNotFound, "NOT_FOUND",
                    absl::StrCat("there is no snapshot '", id, "'"));
}

// Counts the bytes of several files towards one total.
class Counted {
 public:
  Counted(uint64_t total, const SnapshotProgress& progress) : total_(total), progress_(progress) {}
  Folder::BytesRead reader() {
    return [this](uint64_t bytes) { return progress_(done_ += bytes, total_); };
  }

 private:
  const uint64_t total_;
  const SnapshotProgress& progress_;
  uint64_t done_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SnapshotDirectory>> SnapshotDirectory::Open(
    const std::string& path) {
  std::error_code error;
  const std::string absolute = fs::absolute(path, error).string();
  fs::create_directories(absolute, error);
  if (error) return FileError("make", "the folder of the snapshots", error.value());
  ASSIGN_OR_RETURN(Folder root, Folder::Open(absolute));
  std::unique_ptr<SnapshotDirectory> directory(new SnapshotDirectory(absolute, std::move(root)));
  RETURN_IF_ERROR(directory->Sweep());
  return directory;
}

bool SnapshotDirectory::IsId(std::string_view id) {
  return id.size() == kIdForm.size() &&
         std::equal(id.begin(), id.end(), kIdForm.begin(), kIdForm.end(), Fits);
}

absl::Status SnapshotDirectory::Sweep() const {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, root_.Names());
  for (const std::string& name : names) {
    if (absl::EndsWith(name, kUnfinished)) RETURN_IF_ERROR(root_.Remove(name));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SnapshotDirectory::Begin(int64_t create_time_ms) const {
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, List());
  if (ids.size() >= limits::kSnapshotsMax) return TooMany();
  absl::Status status;
  for (int i = 0; i < kIdTries; ++i) {
    const std::string id = NewId(create_time_ms);
    if (root_.Has(id)) continue;
    status = root_.MakeFolder(id + kUnfinished);
    if (status.ok()) return id;
    if (!absl::IsAlreadyExists(status)) return status;
  }
  return StoreError(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE",
                    "every id that was tried for the snapshot is taken");
}

std::string SnapshotDirectory::PendingStorePath(const std::string& id) const {
  return absl::StrCat(path_, "/", id, kUnfinished, "/", kStore);
}

std::string SnapshotDirectory::StorePath(const std::string& id) const {
  return absl::StrCat(path_, "/", id, "/", kStore);
}

absl::Status SnapshotDirectory::Publish(const std::string& id, SnapshotManifest manifest,
                                        const SnapshotProgress& progress) const {
  ASSIGN_OR_RETURN(const Folder snapshot, root_.OpenFolder(id + kUnfinished));
  ASSIGN_OR_RETURN(const Folder store, snapshot.OpenFolder(kStore));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store.Names());
  Counted counted(SizeOf(PendingStorePath(id)), progress);
  manifest.files.clear();
  for (const std::string& name : names) {
    if (!IsSnapshotFileName(name)) return Damaged("the store has a file of a name unknown to it");
    ASSIGN_OR_RETURN(const Folder::Checksum sum, store.ChecksumFile(name, counted.reader()));
    RETURN_IF_ERROR(store.SyncFile(name));
    manifest.files.push_back({name, sum.bytes, sum.crc});
  }
  const std::string bytes = EncodeSnapshotManifest(manifest);
  if (bytes.size() > limits::kSnapshotManifestBytesMax) {
    return StoreError(absl::StatusCode::kResourceExhausted, "TOO_MANY_FILES",
                      absl::StrCat("the store has ", names.size(), " files: too many to list"));
  }
  RETURN_IF_ERROR(store.Sync());
  RETURN_IF_ERROR(snapshot.WriteFile(kManifest, bytes));
  RETURN_IF_ERROR(snapshot.Sync());
  RETURN_IF_ERROR(root_.Rename(id + kUnfinished, id));
  return root_.Sync();
}

void SnapshotDirectory::Abandon(const std::string& id) const {
  root_.Remove(id + kUnfinished).IgnoreError();  // what stays is swept at the next start
}

absl::StatusOr<std::vector<std::string>> SnapshotDirectory::List() const {
  ASSIGN_OR_RETURN(std::vector<std::string> names, root_.Names());
  std::erase_if(names, [](const std::string& name) { return !IsId(name); });
  return names;
}

// A snapshot that another thread removes meanwhile is not there, and not one that lacks files.
absl::Status SnapshotDirectory::UnlessGone(const std::string& id, const absl::Status& error) const {
  return Has(id) ? error : Unknown(id);
}

absl::StatusOr<Folder> SnapshotDirectory::OpenSnapshot(const std::string& id) const {
  if (!Has(id)) return Unknown(id);
  absl::StatusOr<Folder> snapshot = root_.OpenFolder(id);
  if (!snapshot.ok()) return UnlessGone(id, snapshot.status());
  return snapshot;
}

absl::StatusOr<SnapshotManifest> SnapshotDirectory::ReadManifest(const std::string& id) const {
  ASSIGN_OR_RETURN(const Folder snapshot, OpenSnapshot(id));
  const absl::StatusOr<std::string> bytes =
      snapshot.ReadFile(kManifest, limits::kSnapshotManifestBytesMax);
  if (!bytes.ok()) return UnlessGone(id, bytes.status());
  return DecodeSnapshotManifest(*bytes);
}

absl::Status SnapshotDirectory::Verify(const std::string& id, const SnapshotManifest& manifest,
                                       const SnapshotProgress& progress) const {
  ASSIGN_OR_RETURN(const Folder snapshot, OpenSnapshot(id));
  ASSIGN_OR_RETURN(const std::vector<std::string> entries, snapshot.Names());
  for (const std::string& entry : entries) {
    if (entry != kManifest && entry != kStore) return Damaged("an unknown entry is there");
  }
  ASSIGN_OR_RETURN(const Folder store, snapshot.OpenFolder(kStore));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store.Names());
  for (const std::string& name : names) {
    const auto listed = std::lower_bound(
        manifest.files.begin(), manifest.files.end(), name,
        [](const SnapshotFile& file, const std::string& other) { return file.name < other; });
    if (listed == manifest.files.end() || listed->name != name) {
      return Damaged(absl::StrCat(IsSnapshotFileName(name) ? name : "a file",
                                  " is there and not listed in MANIFEST"));
    }
  }
  Counted counted(manifest.TotalBytes(), progress);
  for (const SnapshotFile& file : manifest.files) {
    ASSIGN_OR_RETURN(const Folder::Checksum sum, store.ChecksumFile(file.name, counted.reader()));
    if (sum.bytes != file.bytes) {
      return Damaged(absl::StrCat(file.name, " has ", sum.bytes, " bytes instead of ", file.bytes));
    }
    if (sum.crc != file.crc) {
      return Damaged(absl::StrCat(file.name, " does not have the checksum that MANIFEST keeps"));
    }
  }
  return absl::OkStatus();
}

absl::Status SnapshotDirectory::Remove(const std::string& id) const {
  if (!Has(id)) return Unknown(id);
  RETURN_IF_ERROR(root_.Rename(id, id + kUnfinished));
  RETURN_IF_ERROR(root_.Sync());
  return root_.Remove(id + kUnfinished);
}

}  // namespace tessera
