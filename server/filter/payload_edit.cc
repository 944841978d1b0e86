#include "server/filter/payload_edit.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace tessera {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson Parse(std::string_view payload) {
  if (payload.empty()) return OrderedJson::object();
  OrderedJson json =
      OrderedJson::parse(payload.begin(), payload.end(), nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : OrderedJson::object();
}

void Erase(OrderedJson& node, const std::vector<std::string>& parts, size_t depth) {
  if (node.is_array()) {
    for (OrderedJson& element : node) Erase(element, parts, depth);
    return;
  }
  if (!node.is_object()) return;
  const auto member = node.find(parts[depth]);
  if (member == node.end()) return;
  if (depth + 1 == parts.size()) {
    node.erase(member);
  } else {
    Erase(*member, parts, depth + 1);
  }
}

using Paths = std::vector<const std::vector<std::string>*>;

// What of `node` the paths lead to; their parts before `depth` have been walked.
OrderedJson Project(const OrderedJson& node, const Paths& paths, size_t depth) {
  if (node.is_array()) {
    OrderedJson kept = OrderedJson::array();
    for (const OrderedJson& element : node) {
      OrderedJson part = Project(element, paths, depth);
      if (!part.is_discarded()) kept.push_back(std::move(part));
    }
    return kept;
  }
  if (!node.is_object()) return OrderedJson(OrderedJson::value_t::discarded);
  OrderedJson kept = OrderedJson::object();
  for (const auto& [name, value] : node.items()) {
    Paths deeper;
    bool whole = false;
    for (const auto* path : paths) {
      if ((*path)[depth] != name) continue;
      whole |= depth + 1 == path->size();
      if (depth + 1 < path->size()) deeper.push_back(path);
    }
    if (whole) {
      kept[name] = value;
    } else if (!deeper.empty()) {
      OrderedJson part = Project(value, deeper, depth + 1);
      if (!part.is_discarded()) kept[name] = std::move(part);
    }
  }
  return kept;
}

}  // namespace

std::string SelectPayload(std::string_view payload, const PayloadSelection& selection) {
  if (!selection.enabled || payload.empty()) return "";
  if (selection.whole()) return std::string(payload);
  OrderedJson json = Parse(payload);
  if (!selection.include.empty()) {
    Paths paths;
    for (const FieldPath& path : selection.include) paths.push_back(&path.parts());
    json = Project(json, paths, 0);
  }
  for (const FieldPath& path : selection.exclude) Erase(json, path.parts(), 0);
  return json.dump();
}

std::string MergePayload(std::string_view payload, std::string_view update) {
  OrderedJson json = Parse(payload);
  const OrderedJson changes = Parse(update);
  for (const auto& [name, value] : changes.items()) json[name] = value;
  return json.dump();
}

std::string DeleteFromPayload(std::string_view payload, const std::vector<FieldPath>& keys) {
  if (payload.empty()) return "";
  OrderedJson json = Parse(payload);
  for (const FieldPath& key : keys) Erase(json, key.parts(), 0);
  return json.dump();
}

}  // namespace tessera
