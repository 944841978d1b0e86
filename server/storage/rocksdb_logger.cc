#include "server/storage/rocksdb_logger.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>

#include "index/base/limits.h"

namespace tessera {

void RocksDbLogger::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level >= GetInfoLogLevel()) Logv(format, arguments);
}

void RocksDbLogger::Logv(const char* format, va_list arguments) {
  if (!sink_) return;
  char message[limits::kErrorMessageBytesMax];
  const int size = vsnprintf(message, sizeof(message), format, arguments);
  if (size <= 0) return;
  sink_({message, std::min(static_cast<size_t>(size), sizeof(message) - 1)});
}

}  // namespace tessera
