#include "server/fsck/fsck.h"

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/fsck/findings.h"
#include "server/fsck/store_check.h"
#include "server/storage/rocksdb_store.h"

namespace tessera {

absl::StatusOr<FsckReport> CheckDataDirectory(const std::string& data_dir,
                                              const FsckProgress& progress) {
  const std::filesystem::path path = std::filesystem::path(data_dir) / "store";
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return absl::NotFoundError(absl::StrCat(data_dir, " holds no store of a server"));
  }
  FsckReport report;
  Findings findings(report, progress);
  RocksDbOptions options;
  options.path = path;
  const auto store = OpenRocksDbStoreReadOnly(options, /*lock=*/true);
  if (absl::IsDataLoss(store.status())) {
    findings.Add("the store", store.status());
    return report;
  }
  if (absl::IsUnavailable(store.status())) {
    return absl::FailedPreconditionError(store.status().message());
  }
  RETURN_IF_ERROR(store.status());
  RETURN_IF_ERROR(CheckStore(**store, findings));
  return report;
}

}  // namespace tessera
