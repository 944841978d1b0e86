#include "server/storage/rocksdb_files.h"

#include <rocksdb/file_checksum.h>
#include <rocksdb/utilities/checkpoint.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/storage/rocksdb_status.h"
#include "server/storage/store_error.h"

namespace tessera {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;

absl::Status CheckTable(const rocksdb::LiveFileMetaData& table,
                        rocksdb::FileChecksumGenFactory& factory, const std::string& root) {
  rocksdb::FileChecksumGenContext context;
  context.requested_checksum_func_name = table.file_checksum_func_name;
  const auto checksum = factory.CreateFileChecksumGenerator(context);
  // Written before tables had a checksum: the walk of their records has to do.
  if (checksum == nullptr || table.file_checksum_func_name != checksum->Name()) {
    return absl::OkStatus();
  }
  const std::string& name = table.relative_filename;
  std::ifstream file(root + "/" + name, std::ios::binary);
  if (!file) return FileError("open", name, errno);
  std::string bytes(kReadBytes, '\0');
  while (file) {
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    checksum->Update(bytes.data(), static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) return FileError("read", name, errno);
  checksum->Finalize();
  if (checksum->GetChecksum() == table.file_checksum) return absl::OkStatus();
  return StoreError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                    absl::StrCat(name,
                                 ": the file does not have the checksum that the manifest "
                                 "keeps for it"));
}

}  // namespace

absl::Status MakeCheckpoint(rocksdb::DB& db, const std::string& directory,
                            const std::string& root) {
  rocksdb::Checkpoint* made = nullptr;
  RETURN_IF_ERROR(
      MapRocksDbStatus(rocksdb::Checkpoint::Create(&db, &made), "make a checkpoint", root));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  return MapRocksDbStatus(checkpoint->CreateCheckpoint(directory), "make a checkpoint", root);
}

std::vector<absl::Status> CheckTables(rocksdb::DB& db, const std::string& root) {
  const auto factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  std::vector<rocksdb::LiveFileMetaData> tables;
  db.GetLiveFilesMetaData(&tables);
  std::vector<absl::Status> damages;
  for (const rocksdb::LiveFileMetaData& table : tables) {
    absl::Status status = CheckTable(table, *factory, root);
    if (!status.ok()) damages.push_back(std::move(status));
  }
  return damages;
}

}  // namespace tessera
