#ifndef TESSERA_SERVER_FILTER_FIELD_COLUMN_H_
#define TESSERA_SERVER_FILTER_FIELD_COLUMN_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "index/base/types.h"
#include "server/filter/field_path.h"

namespace tessera {

// What values of a field an index holds. The numbers are stored on disk: never renumber.
enum class PayloadIndexType : uint8_t {
  kKeyword = 1,   // strings
  kInteger = 2,   // numbers written as integers of 64 bits
  kFloat = 3,     // numbers, as doubles
  kDatetime = 4,  // strings that ParseDatetime understands
  kBool = 5,
};

struct PayloadIndexSpec {
  FieldPath key;
  PayloadIndexType type = PayloadIndexType::kKeyword;

  friend bool operator==(const PayloadIndexSpec&, const PayloadIndexSpec&) = default;
};

template <class Key>
using FieldEntries = std::vector<std::pair<Key, Slot>>;

// What an index takes of some points: of a group of writes, or of all points while it is built. A
// point that is added twice, or replaced, is the caller's to sort out.
struct FieldColumn {
  explicit FieldColumn(PayloadIndexType type);

  // Integers, datetimes and bools; floats; keywords.
  std::variant<FieldEntries<int64_t>, FieldEntries<double>, FieldEntries<std::string>> entries;
  std::vector<Slot> covered;  // every point
  std::vector<Slot> exists;   // the key leads somewhere
  std::vector<Slot> valued;   // to some value but null
  std::vector<Slot> nulls;    // to null
  // To some value but null that is not among the entries, or not as it is: a float index has the
  // double that is nearest to a large integer.
  std::vector<Slot> others;

  // `payload` is an object, or null for none.
  void Add(const PayloadIndexSpec& spec, const nlohmann::json& payload, Slot slot);
  // Rows were added as slots 0, 1, ...: now they get their slots.
  void AssignSlots(std::span<const Slot> slots);
  void Append(const FieldColumn& other);
  void Remove(const Roaring& slots);
  // Entries by value, then slot; slots in order.
  void Sort();
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_FIELD_COLUMN_H_
