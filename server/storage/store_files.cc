#include "server/storage/store_files.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/storage/store_error.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

bool NamesAFile(absl::string_view message) {
  return absl::StrContains(message, ".sst") || absl::StrContains(message, ".log") ||
         absl::StrContains(message, "MANIFEST") || absl::StrContains(message, "CURRENT");
}

// Of the files with the extension, or of all if it is empty.
uint64_t SumFileBytes(const std::string& root, std::string_view extension) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (!extension.empty() && entry.path().extension() != extension) continue;
    const uint64_t size = entry.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

}  // namespace

absl::Status MakeStoreDirectory(const std::string& root) {
  std::error_code error;
  fs::create_directories(root, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("create the directory ", root, ": ", error.message()));
}

absl::Status CheckCurrentFile(const std::string& root) {
  std::error_code error;
  if (fs::exists(fs::path(root) / "CURRENT", error)) return absl::OkStatus();
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".sst" || extension == ".log") {
      return StoreError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                        absl::StrCat("open: CURRENT is missing, but ",
                                     entry.path().filename().string(), " is there"));
    }
  }
  return absl::OkStatus();
}

std::string LogsWithContent(const std::string& root) {
  std::vector<std::string> logs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (entry.path().extension() == ".log" && entry.file_size(error) > 0) {
      logs.push_back(entry.path().filename().string());
    }
  }
  std::sort(logs.begin(), logs.end());
  return absl::StrJoin(logs, " or ");
}

absl::Status NameDamagedFiles(const absl::Status& status, const std::string& root) {
  const absl::string_view message = status.message();
  if (NamesAFile(message)) return status;
  const std::string where = absl::StrContains(message, "Column family not found")
                                ? ": the MANIFEST has lost its end"
                                : " in the log " + LogsWithContent(root);
  return StoreError(absl::StatusCode::kDataLoss, "STORE_DAMAGED", absl::StrCat(message, where));
}

absl::Status CheckFreeBytes(const std::string& root, uint64_t bytes_min, std::string_view what) {
  struct statvfs disk;
  // A disk that cannot be asked will say itself when it is full.
  if (statvfs(root.c_str(), &disk) != 0) return absl::OkStatus();
  const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= bytes_min) return absl::OkStatus();
  return StoreError(absl::StatusCode::kResourceExhausted, "DISK_FULL",
                    absl::StrCat(std::string(what), ": ", free_bytes >> 20,
                                 " MiB are free on the data directory's disk, and ",
                                 bytes_min >> 20, " MiB are needed"));
}

uint64_t DirectoryBytes(const std::string& root) { return SumFileBytes(root, ""); }

uint64_t LogBytes(const std::string& root) { return SumFileBytes(root, ".log"); }

}  // namespace tessera
