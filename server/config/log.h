#ifndef TESSERA_SERVER_CONFIG_LOG_H_
#define TESSERA_SERVER_CONFIG_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "server/config/config.h"

namespace spdlog {
class logger;
}

namespace tessera {

// A named value beside a message.
struct LogField {
  template <typename T>
  LogField(std::string_view name, const T& value) : name(name), value(Convert(value)) {}

  std::string_view name;
  std::variant<int64_t, double, std::string> value;

 private:
  template <typename T>
  static std::variant<int64_t, double, std::string> Convert(const T& value) {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(value);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<int64_t>(value);
    } else {
      return std::string(value);
    }
  }
};

// The process's log, a message and its fields a line on standard error:
//   text  2026-01-31T12:00:00.000Z info ready seconds=0.8 listen=127.0.0.1:6433
//   json  {"time":"2026-01-31T12:00:00.000Z","level":"info","message":"ready","seconds":0.8,...}
// Thread-safe.
class Log {
 public:
  Log(LogLevel level, LogFormat format);
  ~Log();

  void Info(std::string_view message, std::initializer_list<LogField> fields = {});
  void Warning(std::string_view message, std::initializer_list<LogField> fields = {});
  void Error(std::string_view message, std::initializer_list<LogField> fields = {});

 private:
  const LogFormat format_;
  std::unique_ptr<spdlog::logger> logger_;
};

// The part of a line that follows the level, for tests too.
std::string FormatLogLine(LogFormat format, std::string_view message,
                          std::initializer_list<LogField> fields);

}  // namespace tessera

#endif  // TESSERA_SERVER_CONFIG_LOG_H_
