#include "server/filter/field_path.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

using Json = nlohmann::json;

void Collect(const Json& node, const std::vector<std::string>& parts, size_t depth,
             FieldValues* found) {
  if (node.is_array()) {
    if (depth == parts.size()) found->exists = true;
    for (const Json& element : node) Collect(element, parts, depth, found);
    return;
  }
  if (depth == parts.size()) {
    found->exists = true;
    found->values.push_back(&node);
    return;
  }
  if (!node.is_object()) return;
  const auto member = node.find(parts[depth]);
  if (member != node.end()) Collect(*member, parts, depth + 1, found);
}

}  // namespace

FieldPath::FieldPath(std::string_view text) {
  while (true) {
    const size_t dot = text.find('.');
    std::string_view part = text.substr(0, dot);
    while (part.ends_with("[]")) part.remove_suffix(2);
    parts_.emplace_back(part);
    absl::StrAppend(&text_, text_.empty() ? "" : ".", parts_.back());
    if (dot == std::string_view::npos) return;
    text.remove_prefix(dot + 1);
  }
}

std::optional<FieldPath> FieldPath::Stored(std::string_view text) {
  FieldPath path(text);
  if (path.text() != text || !path.Violation().empty()) return std::nullopt;
  return path;
}

std::string FieldPath::Violation() const {
  if (text_.empty()) return "is empty";
  if (text_.size() > limits::kFieldPathBytesMax) {
    return absl::StrCat("has ", text_.size(), " bytes; at most ", limits::kFieldPathBytesMax,
                        " are allowed");
  }
  if (parts_.size() > limits::kPayloadDepthMax) {
    return absl::StrCat("has ", parts_.size(), " parts; payloads are at most ",
                        limits::kPayloadDepthMax, " deep");
  }
  const bool hole =
      std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part.empty(); });
  return hole ? "has an empty name beside a dot" : "";
}

FieldValues FieldPath::Find(const Json& payload) const {
  FieldValues found;
  if (payload.is_object()) Collect(payload, parts_, 0, &found);
  return found;
}

}  // namespace tessera
