#ifndef TESSERA_SERVER_STORAGE_ROCKSDB_LOGGER_H_
#define TESSERA_SERVER_STORAGE_ROCKSDB_LOGGER_H_

#include <rocksdb/env.h>

#include <cstdarg>
#include <functional>
#include <string_view>
#include <utility>

namespace tessera {

// Hands RocksDB's warnings and errors to a function, instead of a LOG file: on a full disk the
// library's own logger aborts the process. Thread-safe if the function is.
class RocksDbLogger final : public rocksdb::Logger {
 public:
  // `sink` may be empty: nothing is kept.
  explicit RocksDbLogger(std::function<void(std::string_view message)> sink)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), sink_(std::move(sink)) {}

  using Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  void Logv(const char* format, va_list arguments) override;
  // What RocksDB says of its options at every start.
  void LogHeader(const char*, va_list) override {}

 private:
  const std::function<void(std::string_view)> sink_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_STORAGE_ROCKSDB_LOGGER_H_
