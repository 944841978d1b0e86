#include "server/filter/field_column.h"

#include <algorithm>

#include "server/filter/datetime.h"
#include "server/filter/filter.h"
#include "server/filter/json_value.h"

namespace tessera {
namespace {

using Json = nlohmann::json;

std::optional<int64_t> IntegerKey(PayloadIndexType type, const Json& value) {
  if (type == PayloadIndexType::kInteger) return AsInteger(value);
  if (type == PayloadIndexType::kBool) {
    if (!value.is_boolean()) return std::nullopt;
    return value.get<bool>() ? 1 : 0;
  }
  if (!value.is_string()) return std::nullopt;
  return ParseDatetime(value.get_ref<const std::string&>());
}

// Whether a double holds the number as it is: integers beyond 2^53 may lie between two of them.
bool IsDouble(const Json& value) {
  const auto same = [](auto integer) {
    return static_cast<Number>(static_cast<double>(integer)) == static_cast<Number>(integer);
  };
  if (value.is_number_unsigned()) return same(value.get<uint64_t>());
  return !value.is_number_integer() || same(value.get<int64_t>());
}

// Makes an entry of a value of the index's type. False if the value is not, or not quite, that.
bool AddEntry(FieldColumn* column, PayloadIndexType type, const Json& value, Slot slot) {
  if (type == PayloadIndexType::kKeyword) {
    if (!value.is_string()) return false;
    std::get<FieldEntries<std::string>>(column->entries)
        .emplace_back(value.get_ref<const std::string&>(), slot);
    return true;
  }
  if (type == PayloadIndexType::kFloat) {
    if (!value.is_number()) return false;
    std::get<FieldEntries<double>>(column->entries).emplace_back(value.get<double>(), slot);
    return IsDouble(value);
  }
  const std::optional<int64_t> key = IntegerKey(type, value);
  if (key.has_value()) std::get<FieldEntries<int64_t>>(column->entries).emplace_back(*key, slot);
  return key.has_value();
}

// Every list of slots in a column.
template <class Visit>
void ForEachList(FieldColumn& column, const Visit& visit) {
  for (auto* slots :
       {&column.covered, &column.exists, &column.valued, &column.nulls, &column.others}) {
    visit(*slots);
  }
}

}  // namespace

FieldColumn::FieldColumn(PayloadIndexType type) {
  if (type == PayloadIndexType::kKeyword) {
    entries = FieldEntries<std::string>();
  } else if (type == PayloadIndexType::kFloat) {
    entries = FieldEntries<double>();
  }
}

void FieldColumn::Add(const PayloadIndexSpec& spec, const Json& payload, Slot slot) {
  covered.push_back(slot);
  const FieldValues found = spec.key.Find(payload);
  if (!found.exists) return;
  exists.push_back(slot);
  bool has_value = false;
  bool has_null = false;
  bool has_other = false;
  for (const Json* value : found.values) {
    if (value->is_null()) {
      has_null = true;
      continue;
    }
    has_value = true;
    has_other |= !AddEntry(this, spec.type, *value, slot);
  }
  if (has_value) valued.push_back(slot);
  if (has_null) nulls.push_back(slot);
  if (has_other) others.push_back(slot);
}

void FieldColumn::AssignSlots(std::span<const Slot> slots) {
  std::visit(
      [&](auto& list) {
        for (auto& entry : list) entry.second = slots[entry.second];
      },
      entries);
  ForEachList(*this, [&](std::vector<Slot>& rows) {
    for (Slot& row : rows) row = slots[row];
  });
}

void FieldColumn::Append(const FieldColumn& other) {
  std::visit(
      [&](auto& list) {
        const auto& more = std::get<std::decay_t<decltype(list)>>(other.entries);
        list.insert(list.end(), more.begin(), more.end());
      },
      entries);
  const auto append = [](std::vector<Slot>& slots, const std::vector<Slot>& more) {
    slots.insert(slots.end(), more.begin(), more.end());
  };
  append(covered, other.covered);
  append(exists, other.exists);
  append(valued, other.valued);
  append(nulls, other.nulls);
  append(others, other.others);
}

void FieldColumn::Remove(const Roaring& gone) {
  if (gone.isEmpty()) return;
  std::visit(
      [&](auto& list) {
        std::erase_if(list, [&](const auto& entry) { return gone.contains(entry.second); });
      },
      entries);
  ForEachList(*this, [&](std::vector<Slot>& slots) {
    std::erase_if(slots, [&](Slot slot) { return gone.contains(slot); });
  });
}

void FieldColumn::Sort() {
  // What was read from the store in the order of its keys is in order but for the values.
  const auto sort = [](auto& list) {
    if (!std::is_sorted(list.begin(), list.end())) std::sort(list.begin(), list.end());
  };
  std::visit(sort, entries);
  ForEachList(*this, sort);
}

}  // namespace tessera
