#include "server/storage/row_files.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::string NameOf(RowKind kind, uint32_t collection) {
  return absl::StrCat(collection, kind == RowKind::kVector ? ".rows" : ".payloads");
}

}  // namespace

std::string RowFiles::PathOf(RowKind kind, uint32_t collection) const {
  return fs::path(options_.directory) / NameOf(kind, collection);
}

std::optional<size_t> RowFiles::RowBytesOf(RowKind kind, uint32_t collection) const {
  return RowFile::RowBytesOf(PathOf(kind, collection));
}

std::unique_ptr<RowFile> RowFiles::Open(RowKind kind, uint32_t collection, int64_t create_time_ms,
                                        size_t row_bytes, uint64_t sequence) const {
  std::error_code ignored;  // the file will say it
  fs::create_directories(options_.directory, ignored);
  auto file = RowFile::Open({.path = PathOf(kind, collection),
                             .collection = collection,
                             .create_time_ms = create_time_ms,
                             .row_bytes = row_bytes,
                             .free_disk_bytes_min = options_.free_disk_bytes_min,
                             .reader = reader_,
                             .log = options_.log},
                            sequence);
  if (file.ok()) return *std::move(file);
  if (options_.log) {
    options_.log(
        absl::StrCat("no copy ", NameOf(kind, collection), ": ", file.status().ToString()));
  }
  return nullptr;
}

void RowFiles::RemoveOthers(const std::set<uint32_t>& collections) const {
  std::set<std::string> names;
  for (uint32_t collection : collections) {
    for (RowKind kind : {RowKind::kVector, RowKind::kPayload}) {
      names.insert(NameOf(kind, collection));
    }
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
    std::error_code ignored;  // it is in nobody's way
    if (!names.contains(entry.path().filename())) fs::remove(entry.path(), ignored);
  }
}

}  // namespace tessera
