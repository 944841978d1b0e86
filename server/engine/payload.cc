#include "server/engine/payload.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

using Json = nlohmann::json;

absl::Status Refuse(std::string_view description) {
  return absl::InvalidArgumentError(absl::string_view(description.data(), description.size()));
}

absl::Status RefuseByte(size_t offset, std::string_view description) {
  return Refuse(absl::StrCat("byte ", offset, ": ", std::string(description)));
}

constexpr size_t kNumberOutOfRange = 406;  // nlohmann's id of the error

// Builds nothing: counts the depth and remembers the first error.
class Checker : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(number_integer_t) override { return Value(); }
  bool number_unsigned(number_unsigned_t) override { return Value(); }
  bool number_float(number_float_t, const string_t&) override { return Value(); }
  bool string(string_t&) override { return Value(); }
  bool binary(binary_t&) override { return Value(); }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Value() && Open(); }
  bool end_array() override { return Close(); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The library counts the bytes that it has read, the one at fault (or the end) included. Its
    // text is not passed on: it quotes the input, which need not be valid UTF-8.
    const size_t offset = position == 0 ? 0 : position - 1;
    if (error.id == static_cast<int>(kNumberOutOfRange)) {
      error_ = RefuseByte(offset, "number out of the range of a double");
    } else if (std::strstr(error.what(), "UTF-8") != nullptr) {
      error_ = RefuseByte(offset, "invalid UTF-8");
    } else {
      error_ = RefuseByte(offset, "syntax error in JSON");
    }
    return false;
  }

  const absl::Status& error() const { return error_; }
  bool too_deep() const { return too_deep_; }

 private:
  // A value that is no object is refused where it would be the whole text.
  bool Value() {
    if (depth_ > 0) return true;
    error_ = Refuse("must be a JSON object");
    return false;
  }
  bool Open() {
    too_deep_ = ++depth_ > limits::kPayloadDepthMax;
    return !too_deep_;
  }
  bool Close() {
    --depth_;
    return true;
  }

  size_t depth_ = 0;
  bool too_deep_ = false;
  absl::Status error_;
};

// Where the nesting first exceeds the limit, in JSON that is valid up to there: the parser's events
// come without their place.
size_t TooDeepAt(std::string_view json) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limits::kPayloadDepthMax) return i;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return json.size();
}

}  // namespace

absl::Status ValidatePayload(std::string_view json) {
  if (json.size() > limits::kPayloadBytesMax) {
    return Refuse(
        absl::StrCat("is ", json.size(), " bytes long; the limit is ", limits::kPayloadBytesMax));
  }
  // The library takes a zero byte for the end of the text, and skips a byte order mark.
  if (const size_t zero = json.find('\0'); zero != std::string_view::npos) {
    return RefuseByte(zero, "syntax error in JSON");
  }
  if (json.starts_with("\xEF\xBB\xBF")) return RefuseByte(0, "syntax error in JSON");

  Checker checker;
  if (Json::sax_parse(json.begin(), json.end(), &checker)) return absl::OkStatus();
  if (checker.too_deep()) {
    return RefuseByte(TooDeepAt(json),
                      absl::StrCat("nested deeper than ", limits::kPayloadDepthMax, " levels"));
  }
  return checker.error();
}

}  // namespace tessera
