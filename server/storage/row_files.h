#ifndef TESSERA_SERVER_STORAGE_ROW_FILES_H_
#define TESSERA_SERVER_STORAGE_ROW_FILES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "server/storage/cached_reader.h"
#include "server/storage/row_file.h"

namespace tessera {

struct RowFilesOptions {
  std::string directory;  // made if it is not there; nothing else lives in it
  uint64_t free_disk_bytes_min = 0;
  std::function<void(std::string_view message)> log;
};

// What is copied of each point.
enum class RowKind { kVector, kPayload };

// The folder of the row files, at most one for each collection and kind. Thread-safe.
class RowFiles {
 public:
  explicit RowFiles(const RowFilesOptions& options) : options_(options) {}

  // As RowFile::Open. Null if there is none to be had; the log says why.
  std::unique_ptr<RowFile> Open(RowKind kind, uint32_t collection, int64_t create_time_ms,
                                size_t row_bytes, uint64_t sequence) const;
  // As RowFile::RowBytesOf.
  std::optional<size_t> RowBytesOf(RowKind kind, uint32_t collection) const;
  // Removes those of all other collections.
  void RemoveOthers(const std::set<uint32_t>& collections) const;

 private:
  std::string PathOf(RowKind kind, uint32_t collection) const;

  const RowFilesOptions options_;
  const std::shared_ptr<CachedReader> reader_ = std::make_shared<CachedReader>();
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROW_FILES_H_
