#ifndef TESSERA_SERVER_FILTER_FIELD_PATH_H_
#define TESSERA_SERVER_FILTER_FIELD_PATH_H_

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

// What a payload holds at a path.
struct FieldValues {
  bool exists = false;  // the path leads somewhere, be it to null or to an empty array
  // The values there: an array stands for its elements, also where it lies on the way. Nulls are
  // among them. They point into the payload.
  std::vector<const nlohmann::json*> values;
};

// The key of a condition: names of members with dots between them, "author.address.city". A value
// type; thread-safe as such.
class FieldPath {
 public:
  FieldPath() = default;
  // "[]" after a name, which other servers ask for where an array is, means nothing here, however
  // often it comes: "a[].b" is "a.b", and "a[][]" is "a".
  explicit FieldPath(std::string_view text);
  // Of a stored text(). None if no key has it: "a[][]" was "a[]" once, and as a key that is "a".
  static std::optional<FieldPath> Stored(std::string_view text);

  const std::string& text() const { return text_; }
  const std::vector<std::string>& parts() const { return parts_; }
  // Why it cannot be a key; empty if it can.
  std::string Violation() const;

  FieldValues Find(const nlohmann::json& payload) const;

  friend bool operator==(const FieldPath& a, const FieldPath& b) { return a.text_ == b.text_; }

 private:
  std::string text_;
  std::vector<std::string> parts_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_FIELD_PATH_H_
