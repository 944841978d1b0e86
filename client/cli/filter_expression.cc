#include "client/cli/filter_expression.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

enum class Kind { kEnd, kWord, kQuotedWord, kString, kInteger, kLargeInteger, kFloat, kSymbol };

struct Token {
  Kind kind = Kind::kEnd;
  std::string text;  // of a word, string or symbol
  int64_t integer = 0;
  uint64_t id = 0;  // of a number that is no int64, but an id
  double number = 0;
  size_t at = 0;  // where it begins

  std::optional<uint64_t> Id() const {
    if (kind == Kind::kInteger && integer >= 0) return static_cast<uint64_t>(integer);
    if (kind == Kind::kLargeInteger && id != 0) return id;
    return std::nullopt;
  }
};

struct Datetime {
  std::string text;
};
using Value = std::variant<std::string, int64_t, double, bool, Datetime>;

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-' || c == '[' || c == ']' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<v1::Filter> Parse() {
    RETURN_IF_ERROR(Advance());
    ASSIGN_OR_RETURN(v1::Condition condition, ParseOr(1));
    if (token_.kind != Kind::kEnd) return Wrong("expected 'and', 'or' or the end");
    if (condition.has_filter()) return std::move(*condition.mutable_filter());
    v1::Filter filter;
    *filter.add_must() = std::move(condition);
    return filter;
  }

 private:
  absl::Status Wrong(std::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("filter, character ", token_.at + 1, ": ", std::string(what)));
  }

  // Reads the next token.
  absl::Status Advance() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
    token_ = Token{.at = at_};
    if (at_ == text_.size()) return absl::OkStatus();
    const char c = text_[at_];
    if (c == '"' || c == '\'' || c == '`') return ReadQuoted(c);
    const bool sign = (c == '-' || c == '+') && at_ + 1 < text_.size();
    if (absl::ascii_isdigit(c) || (sign && absl::ascii_isdigit(text_[at_ + 1]))) {
      return ReadNumber();
    }
    if (absl::ascii_isalpha(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80) {
      while (at_ < text_.size() && IsWordCharacter(text_[at_])) token_.text += text_[at_++];
      token_.kind = Kind::kWord;
      return absl::OkStatus();
    }
    for (const std::string_view symbol : {"!=", "<=", ">=", "=", "<", ">", "(", ")", ","}) {
      if (!text_.substr(at_).starts_with(symbol)) continue;
      token_.kind = Kind::kSymbol;
      token_.text = std::string(symbol);
      at_ += symbol.size();
      return absl::OkStatus();
    }
    return Wrong("is no part of a filter");
  }

  absl::Status ReadQuoted(char quote) {
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      token_.text += text_[at_];
    }
    if (at_ >= text_.size()) return Wrong("has no closing quote");
    ++at_;
    token_.kind = quote == '`' ? Kind::kQuotedWord : Kind::kString;
    return absl::OkStatus();
  }

  absl::Status ReadNumber() {
    if (text_[at_] == '+') ++at_;
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    const auto as_float = std::from_chars(begin, end, token_.number);
    const auto as_integer = std::from_chars(begin, end, token_.integer);
    if (as_float.ec != std::errc() || !std::isfinite(token_.number)) {
      return Wrong("is out of the range of numbers");
    }
    const bool in_digits = as_integer.ptr == as_float.ptr;
    const bool whole = in_digits && as_integer.ec == std::errc();
    token_.kind = whole ? Kind::kInteger : in_digits ? Kind::kLargeInteger : Kind::kFloat;
    if (!whole && std::from_chars(begin, as_float.ptr, token_.id).ptr != as_float.ptr) {
      token_.id = 0;
    }
    at_ = static_cast<size_t>(as_float.ptr - text_.data());
    if (at_ < text_.size() && IsWordCharacter(text_[at_])) return Wrong("is no number");
    return absl::OkStatus();
  }

  bool IsWord(std::string_view word) const {
    return token_.kind == Kind::kWord &&
           absl::EqualsIgnoreCase(token_.text, absl::string_view(word.data(), word.size()));
  }
  bool IsSymbol(std::string_view symbol) const {
    return token_.kind == Kind::kSymbol && token_.text == symbol;
  }
  absl::Status Expect(std::string_view symbol) {
    if (!IsSymbol(symbol)) return Wrong(absl::StrCat("expected '", std::string(symbol), "'"));
    return Advance();
  }

  absl::Status CheckDepth(size_t depth) const {
    if (depth <= limits::kFilterDepthMax) return absl::OkStatus();
    return Wrong(absl::StrCat("is nested deeper than ", limits::kFilterDepthMax, " levels"));
  }

  // One operand alone is itself; several become a filter, in `should` or `must`.
  absl::StatusOr<v1::Condition> ParseOr(size_t depth) {
    RETURN_IF_ERROR(CheckDepth(depth));
    ASSIGN_OR_RETURN(v1::Condition first, ParseAnd(depth));
    if (!IsWord("or")) return first;
    v1::Condition any;
    *any.mutable_filter()->add_should() = std::move(first);
    while (IsWord("or")) {
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(*any.mutable_filter()->add_should(), ParseAnd(depth));
    }
    return any;
  }

  absl::StatusOr<v1::Condition> ParseAnd(size_t depth) {
    ASSIGN_OR_RETURN(v1::Condition first, ParseNot(depth));
    if (!IsWord("and")) return first;
    v1::Condition all;
    *all.mutable_filter()->add_must() = std::move(first);
    while (IsWord("and")) {
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(*all.mutable_filter()->add_must(), ParseNot(depth));
    }
    return all;
  }

  absl::StatusOr<v1::Condition> ParseNot(size_t depth) {
    if (IsWord("not")) {
      RETURN_IF_ERROR(Advance());
      RETURN_IF_ERROR(CheckDepth(depth + 1));
      ASSIGN_OR_RETURN(v1::Condition operand, ParseNot(depth + 1));
      return Not(std::move(operand));
    }
    if (IsSymbol("(")) {
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(v1::Condition inner, ParseOr(depth + 1));
      RETURN_IF_ERROR(Expect(")"));
      return inner;
    }
    return ParseCondition();
  }

  static v1::Condition Not(v1::Condition operand) {
    v1::Condition none;
    *none.mutable_filter()->add_must_not() = std::move(operand);
    return none;
  }

  absl::StatusOr<std::string> ParseKey() {
    if (token_.kind != Kind::kWord && token_.kind != Kind::kQuotedWord) {
      return Wrong("expected a field");
    }
    std::string key = std::move(token_.text);
    RETURN_IF_ERROR(Advance());
    return key;
  }

  absl::StatusOr<v1::Condition> ParseCondition() {
    const bool count = IsWord("count");
    const bool id = IsWord("id");
    ASSIGN_OR_RETURN(std::string key, ParseKey());
    if (IsSymbol("(") && (count || id)) {
      RETURN_IF_ERROR(Advance());
      return count ? ParseCount() : ParseIds();
    }
    v1::Condition condition;
    condition.set_key(std::move(key));
    if (IsWord("exists")) {
      condition.set_exists(true);
      RETURN_IF_ERROR(Advance());
      return condition;
    }
    if (IsWord("is")) return ParseIs(std::move(condition));
    if (IsWord("starts")) return ParsePrefix(std::move(condition));
    if (IsWord("in")) return ParseIn(std::move(condition));
    if (IsWord("not")) {
      RETURN_IF_ERROR(Advance());
      if (!IsWord("in")) return Wrong("expected 'in'");
      ASSIGN_OR_RETURN(condition, ParseIn(std::move(condition)));
      return Not(std::move(condition));
    }
    return ParseComparison(std::move(condition));
  }

  absl::StatusOr<v1::Condition> ParseIs(v1::Condition condition) {
    RETURN_IF_ERROR(Advance());
    const bool negated = IsWord("not");
    if (negated) RETURN_IF_ERROR(Advance());
    if (IsWord("null")) {
      condition.set_is_null(true);
    } else if (IsWord("empty")) {
      condition.set_is_empty(true);
    } else {
      return Wrong("expected 'null' or 'empty'");
    }
    RETURN_IF_ERROR(Advance());
    return negated ? Not(std::move(condition)) : condition;
  }

  absl::StatusOr<v1::Condition> ParsePrefix(v1::Condition condition) {
    RETURN_IF_ERROR(Advance());
    if (!IsWord("with")) return Wrong("expected 'with'");
    RETURN_IF_ERROR(Advance());
    if (token_.kind != Kind::kString) return Wrong("expected a string in quotes");
    condition.set_prefix(token_.text);
    RETURN_IF_ERROR(Advance());
    return condition;
  }

  absl::StatusOr<v1::Condition> ParseIn(v1::Condition condition) {
    RETURN_IF_ERROR(Advance());
    RETURN_IF_ERROR(Expect("("));
    v1::Match& match = *condition.mutable_match();
    while (true) {
      const Token first = token_;
      ASSIGN_OR_RETURN(const Value value, ParseValue());
      if (const auto* text = std::get_if<std::string>(&value); text && !match.has_integers()) {
        match.mutable_keywords()->add_strings(*text);
      } else if (const auto* number = std::get_if<int64_t>(&value);
                 number && !match.has_keywords()) {
        match.mutable_integers()->add_integers(*number);
      } else {
        token_ = first;
        return Wrong("a list holds strings, or it holds integers");
      }
      if (IsSymbol(")")) break;
      RETURN_IF_ERROR(Expect(","));
    }
    RETURN_IF_ERROR(Advance());
    return condition;
  }

  absl::StatusOr<v1::Condition> ParseIds() {
    v1::Condition condition;
    v1::PointIds& ids = *condition.mutable_has_id();
    while (true) {
      if (token_.kind == Kind::kString && ids.num().empty()) {
        ids.add_str(token_.text);
      } else if (const std::optional<uint64_t> id = token_.Id(); id && ids.str().empty()) {
        ids.add_num(*id);
      } else {
        return Wrong("expected an id: all numbers, or all strings");
      }
      RETURN_IF_ERROR(Advance());
      if (IsSymbol(")")) break;
      RETURN_IF_ERROR(Expect(","));
    }
    RETURN_IF_ERROR(Advance());
    return condition;
  }

  absl::StatusOr<v1::Condition> ParseCount() {
    v1::Condition condition;
    ASSIGN_OR_RETURN(*condition.mutable_key(), ParseKey());
    RETURN_IF_ERROR(Expect(")"));
    const Token symbol = token_;
    RETURN_IF_ERROR(Advance());
    if (token_.kind != Kind::kInteger || token_.integer < 0) return Wrong("expected a number");
    const auto number = static_cast<uint64_t>(token_.integer);
    const bool known = SetBounds(symbol.text, number, condition.mutable_values_count());
    if (symbol.kind != Kind::kSymbol || !known) {
      token_ = symbol;
      return Wrong("expected = < <= > or >=");
    }
    RETURN_IF_ERROR(Advance());
    return condition;
  }

  absl::StatusOr<Value> ParseValue() {
    Value value;
    if (token_.kind == Kind::kString) {
      value = token_.text;
    } else if (token_.kind == Kind::kInteger) {
      value = token_.integer;
    } else if (token_.kind == Kind::kLargeInteger) {
      // As a double it would be another number than the one that is written.
      return Wrong(
          "is out of the range of integers; with a fraction or an exponent it is a double");
    } else if (token_.kind == Kind::kFloat) {
      value = token_.number;
    } else if (IsWord("true") || IsWord("false")) {
      value = IsWord("true");
    } else if (IsWord("datetime")) {
      RETURN_IF_ERROR(Advance());
      if (token_.kind != Kind::kString) return Wrong("expected a time in quotes");
      value = Datetime{token_.text};
    } else {
      return Wrong("expected a string in quotes, a number, true, false or datetime \"...\"");
    }
    RETURN_IF_ERROR(Advance());
    return value;
  }

  template <class T, class Message>
  static bool SetBounds(std::string_view symbol, const T& value, Message* bounds) {
    if (symbol == "<") {
      bounds->set_lt(value);
    } else if (symbol == "<=") {
      bounds->set_lte(value);
    } else if (symbol == ">") {
      bounds->set_gt(value);
    } else if (symbol == ">=") {
      bounds->set_gte(value);
    } else if (symbol == "=") {
      bounds->set_gte(value);
      bounds->set_lte(value);
    } else {
      return false;
    }
    return true;
  }

  // As doubles where they hold it: servers of all versions know those.
  static void SetIntegerBounds(std::string_view symbol, int64_t value, v1::Condition* condition) {
    constexpr int64_t kDoubles = int64_t{1} << 53;
    if (-kDoubles <= value && value <= kDoubles) {
      SetBounds(symbol, static_cast<double>(value), condition->mutable_range());
    } else {
      SetBounds(symbol, value, condition->mutable_integer_range());
    }
  }

  absl::StatusOr<v1::Condition> ParseComparison(v1::Condition condition) {
    const Token symbol = token_;
    if (symbol.kind != Kind::kSymbol || symbol.text == "(" || symbol.text == ")" ||
        symbol.text == ",") {
      return Wrong("expected = != < <= > >= in, is, exists or starts with");
    }
    RETURN_IF_ERROR(Advance());
    const bool equal = symbol.text == "=" || symbol.text == "!=";
    const Token first = token_;
    ASSIGN_OR_RETURN(const Value value, ParseValue());
    const std::string_view bound = equal ? "=" : std::string_view(symbol.text);
    if (const auto* time = std::get_if<Datetime>(&value)) {
      SetBounds(bound, time->text, condition.mutable_datetime_range());
    } else if (const auto* number = std::get_if<double>(&value)) {
      SetBounds(bound, *number, condition.mutable_range());
    } else if (const auto* integer = std::get_if<int64_t>(&value)) {
      if (equal) {
        condition.mutable_match()->set_integer(*integer);
      } else {
        SetIntegerBounds(bound, *integer, &condition);
      }
    } else if (!equal) {
      token_ = first;
      return Wrong("is not ordered: use = or !=, or datetime \"...\" for a time");
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      condition.mutable_match()->set_keyword(*text);
    } else {
      condition.mutable_match()->set_boolean(std::get<bool>(value));
    }
    return symbol.text == "!=" ? Not(std::move(condition)) : condition;
  }

  const std::string_view text_;
  size_t at_ = 0;
  Token token_;
};

}  // namespace

absl::StatusOr<v1::Filter> ParseFilter(std::string_view text) { return Parser(text).Parse(); }

}  // namespace tessera::cli
