#include "client/cli/files/npy_header.h"

#include <cstring>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

// Reads the one Python literal that a header holds: a dict of strings, booleans and tuples of
// non-negative integers.
class DictParser {
 public:
  // `base` is the offset of `text` in the file, for messages.
  DictParser(std::string_view text, size_t base) : text_(text), base_(base) {}

  absl::Status Parse(NpyHeader* header) {
    bool has_descr = false, has_order = false, has_shape = false;
    RETURN_IF_ERROR(Expect('{'));
    while (!Accept('}')) {
      std::string key;
      RETURN_IF_ERROR(ParseString(&key));
      RETURN_IF_ERROR(Expect(':'));
      if (key == "descr") {
        if (Peek() == '[') return Error("structured arrays are not supported");
        RETURN_IF_ERROR(ParseString(&header->descr));
        has_descr = true;
      } else if (key == "fortran_order") {
        RETURN_IF_ERROR(ParseBool(&header->fortran_order));
        has_order = true;
      } else if (key == "shape") {
        RETURN_IF_ERROR(ParseTuple(&header->shape));
        has_shape = true;
      } else {
        return Error(absl::StrCat("unknown key '", key, "'"));
      }
      if (!Accept(',') && Peek() != '}') return Error("expected ',' or '}'");
    }
    SkipSpace();
    if (position_ != text_.size()) return Error("text after the dictionary");
    if (!has_descr || !has_order || !has_shape) {
      return Error("the dictionary lacks 'descr', 'fortran_order' or 'shape'");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Error(std::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("npy header, byte ", base_ + position_, ": ", std::string(what)));
  }

  void SkipSpace() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n' ||
                                        text_[position_] == '\t' || text_[position_] == '\r')) {
      ++position_;
    }
  }

  char Peek() {
    SkipSpace();
    return position_ < text_.size() ? text_[position_] : '\0';
  }

  bool Accept(char c) {
    if (Peek() != c || position_ >= text_.size()) return false;
    ++position_;
    return true;
  }

  absl::Status Expect(char c) {
    if (Accept(c)) return absl::OkStatus();
    return Error(absl::StrCat("expected '", std::string(1, c), "'"));
  }

  absl::Status ParseString(std::string* out) {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') return Error("expected a string");
    const size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) return Error("unterminated string");
    *out = std::string(text_.substr(position_ + 1, end - position_ - 1));
    position_ = end + 1;
    return absl::OkStatus();
  }

  absl::Status ParseBool(bool* out) {
    SkipSpace();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(position_, word.size()) == word) {
        position_ += word.size();
        *out = value;
        return absl::OkStatus();
      }
    }
    return Error("expected True or False");
  }

  absl::Status ParseTuple(std::vector<uint64_t>* out) {
    out->clear();
    RETURN_IF_ERROR(Expect('('));
    while (!Accept(')')) {
      if (out->size() == limits::kFileArrayRankMax) return Error("too many dimensions");
      uint64_t value = 0;
      RETURN_IF_ERROR(ParseNumber(&value));
      out->push_back(value);
      if (!Accept(',') && Peek() != ')') return Error("expected ',' or ')'");
    }
    return absl::OkStatus();
  }

  absl::Status ParseNumber(uint64_t* out) {
    SkipSpace();
    const size_t begin = position_;
    uint64_t value = 0;
    for (; position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9';
         ++position_) {
      const uint64_t digit = static_cast<uint64_t>(text_[position_] - '0');
      if (value > (std::numeric_limits<uint64_t>::max() - digit) / 10) {
        return Error("number too large");
      }
      value = value * 10 + digit;
    }
    if (position_ == begin) return Error("expected a non-negative number");
    // Python 2 wrote long integers with a suffix.
    if (position_ < text_.size() && text_[position_] == 'L') ++position_;
    *out = value;
    return absl::OkStatus();
  }

  const std::string_view text_;
  const size_t base_;
  size_t position_ = 0;
};

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view head) {
  if (head.size() < kMagic.size() || head.substr(0, kMagic.size()) != kMagic) {
    return absl::InvalidArgumentError("byte 0: not a .npy file (it must start with \\x93NUMPY)");
  }
  if (head.size() < 10) {
    return absl::InvalidArgumentError(
        absl::StrCat("byte ", head.size(), ": the file ends inside the npy header"));
  }
  const int major = static_cast<uint8_t>(head[6]);
  if (major < 1 || major > 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("byte 6: npy version ", major, " is not supported (1, 2 and 3 are)"));
  }
  const size_t begin = major == 1 ? 10 : 12;
  uint64_t length = 0;
  if (head.size() >= begin) std::memcpy(&length, head.data() + 8, begin - 8);
  if (length > limits::kFileHeaderBytesMax - begin) {
    return absl::InvalidArgumentError(absl::StrCat("byte 8: npy header of ", length,
                                                   " bytes is over the limit of ",
                                                   limits::kFileHeaderBytesMax - begin));
  }
  if (head.size() < begin + length) {
    return absl::InvalidArgumentError(
        absl::StrCat("byte ", head.size(),
                     ": the file ends inside the npy header, which ends at byte ", begin + length));
  }
  NpyHeader header;
  header.data_offset = begin + length;
  RETURN_IF_ERROR(DictParser(head.substr(begin, length), begin).Parse(&header));
  return header;
}

}  // namespace tessera::cli
