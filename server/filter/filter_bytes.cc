#include "server/filter/filter_bytes.h"

#include <string>
#include <variant>

namespace tessera {
namespace {

size_t BytesOf(const std::string& text) { return sizeof(text) + text.size(); }
size_t BytesOf(const FilterId& id) {
  const auto* text = std::get_if<std::string>(&id);
  return sizeof(id) + (text != nullptr ? text->size() : 0);
}

struct TestBytes {
  size_t operator()(const Match& match) const {
    size_t bytes = match.integers.size() * sizeof(int64_t);
    for (const std::string& keyword : match.keywords) bytes += BytesOf(keyword);
    return bytes;
  }
  size_t operator()(const Prefix& prefix) const { return prefix.text.size(); }
  template <class T>
  size_t operator()(const T&) const {
    return 0;
  }
};

struct ConditionBytes {
  size_t operator()(const FieldCondition& condition) const {
    return 2 * condition.key.text().size() + std::visit(TestBytes(), condition.test);
  }
  size_t operator()(const HasId& has_id) const {
    size_t bytes = 0;
    for (const FilterId& id : has_id.ids) bytes += BytesOf(id);
    return bytes;
  }
  size_t operator()(const Filter& filter) const { return FilterBytes(filter); }
};

}  // namespace

size_t FilterBytes(const Filter& filter) {
  size_t bytes = 0;
  for (const auto* clause : {&filter.must, &filter.should, &filter.must_not}) {
    for (const Condition& condition : *clause) {
      bytes += sizeof(condition) + std::visit(ConditionBytes(), condition.kind);
    }
  }
  return bytes;
}

}  // namespace tessera
