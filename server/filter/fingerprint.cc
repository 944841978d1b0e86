#include "server/filter/fingerprint.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "index/base/byte_io.h"
#include "index/base/crc32c.h"

namespace tessera {
namespace {

// Writes a filter so that no two different ones give the same bytes: each part begins with what it
// is, and what has no fixed size with its size.
class FilterWriter {
 public:
  std::string Take() { return writer_.Take(); }

  void Write(const Filter& filter) {
    for (const auto* clause : {&filter.must, &filter.should, &filter.must_not}) {
      writer_.WriteU64(clause->size());
      for (const Condition& condition : *clause) {
        WriteIndex(condition.kind);
        std::visit([this](const auto& kind) { Write(kind); }, condition.kind);
      }
    }
  }

 private:
  template <class Variant>
  void WriteIndex(const Variant& variant) {
    writer_.WriteU8(static_cast<uint8_t>(variant.index()));
  }
  void Write(const FieldCondition& condition) {
    Write(condition.key.text());
    WriteIndex(condition.test);
    std::visit([this](const auto& test) { Write(test); }, condition.test);
  }
  void Write(const HasId& has_id) { WriteList(has_id.ids); }
  void Write(const FilterId& id) {
    WriteIndex(id);
    std::visit([this](const auto& value) { Write(value); }, id);
  }
  void Write(const Match& match) {
    WriteList(match.keywords);
    WriteList(match.integers);
    writer_.WriteU64(match.bools.size());
    for (const bool value : match.bools) writer_.WriteU8(value ? 1 : 0);
    writer_.WriteU8(match.except ? 1 : 0);
  }
  void Write(const NumberRange& range) { WriteBounds(range.bounds); }
  void Write(const DatetimeRange& range) { WriteBounds(range.bounds); }
  void Write(const ValuesCount& count) { WriteBounds(count.bounds); }
  void Write(const Prefix& prefix) { Write(prefix.text); }
  void Write(Presence presence) { writer_.WriteU8(static_cast<uint8_t>(presence)); }
  void Write(const std::string& text) {
    writer_.WriteU64(text.size());
    writer_.WriteBytes(text);
  }
  void Write(int64_t value) { writer_.WriteI64(value); }
  void Write(uint64_t value) { writer_.WriteU64(value); }
  // The nearest double, and what it lacks: both are exact. Zero has one sign.
  void Write(Number value) {
    const double nearest = static_cast<double>(value) + 0.0;
    writer_.WriteF64(nearest);
    writer_.WriteF64(static_cast<double>(value - static_cast<Number>(nearest)) + 0.0);
  }

  template <class T>
  void WriteList(const std::vector<T>& values) {
    writer_.WriteU64(values.size());
    for (const T& value : values) Write(value);
  }
  template <class T>
  void WriteBounds(const Bounds<T>& bounds) {
    for (const auto* bound : {&bounds.lt, &bounds.lte, &bounds.gt, &bounds.gte}) {
      writer_.WriteU8(bound->has_value() ? 1 : 0);
      if (bound->has_value()) Write(**bound);
    }
  }

  ByteWriter writer_;
};

}  // namespace

uint32_t FilterFingerprint(const Filter& filter) {
  if (filter.empty()) return 0;
  FilterWriter writer;
  writer.Write(filter);
  return std::max<uint32_t>(1, Crc32c(writer.Take()));
}

}  // namespace tessera
