#include "server/config/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tessera {
namespace {

constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out += '"';
}

// Text stays on one line whatever it holds, and reads as one word.
std::string TextValue(const std::string& text) {
  if (!text.empty() && text.find_first_of(" \"\\=\n\r\t") == std::string::npos) return text;
  return JsonString(text);
}

std::string FormatValue(LogFormat format, const LogField& field) {
  if (const auto* number = std::get_if<int64_t>(&field.value)) return absl::StrCat(*number);
  if (const auto* number = std::get_if<double>(&field.value)) return absl::StrCat(*number);
  const auto& text = std::get<std::string>(field.value);
  return format == LogFormat::kJson ? JsonString(text) : TextValue(text);
}

}  // namespace

std::string FormatLogLine(LogFormat format, std::string_view message,
                          std::initializer_list<LogField> fields) {
  const bool json = format == LogFormat::kJson;
  std::string line;
  if (json) {
    absl::StrAppend(&line, "\"message\":", JsonString(message));
  } else {
    // A message that holds a line end is told by its quotes.
    const bool plain = message.find_first_of("\n\r") == std::string_view::npos;
    line = plain ? std::string(message) : JsonString(message);
  }
  for (const LogField& field : fields) {
    const std::string name(field.name);
    if (json) {
      absl::StrAppend(&line, ",", JsonString(name), ":");
    } else {
      absl::StrAppend(&line, " ", name, "=");
    }
    line += FormatValue(format, field);
  }
  return line;
}

Log::Log(LogLevel level, LogFormat format)
    : format_(format),
      logger_(std::make_unique<spdlog::logger>("tesserad",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_level(ToSpdlog(level));
  logger_->flush_on(spdlog::level::debug);
  logger_->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      format == LogFormat::kJson ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc));
}

Log::~Log() = default;

void Log::Info(std::string_view message, std::initializer_list<LogField> fields) {
  if (!logger_->should_log(spdlog::level::info)) return;
  logger_->info("{}", FormatLogLine(format_, message, fields));
}

void Log::Warning(std::string_view message, std::initializer_list<LogField> fields) {
  if (!logger_->should_log(spdlog::level::warn)) return;
  logger_->warn("{}", FormatLogLine(format_, message, fields));
}

void Log::Error(std::string_view message, std::initializer_list<LogField> fields) {
  logger_->error("{}", FormatLogLine(format_, message, fields));
}

}  // namespace tessera
