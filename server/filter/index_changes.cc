#include "server/filter/index_changes.h"

#include <utility>

#include "server/filter/json_value.h"

namespace tessera {

PayloadColumns ExtractColumns(const PayloadIndexes& indexes, std::span<const std::string> payloads,
                              size_t rows) {
  PayloadColumns extracted;
  extracted.generation = indexes.generation;
  if (indexes.fields.empty()) return extracted;
  for (const auto& [key, field] : indexes.fields) {
    extracted.columns.emplace_back(field.index->spec().type);
  }
  for (size_t row = 0; row < rows; ++row) {
    const nlohmann::json payload =
        payloads.empty() ? nlohmann::json() : ParsePayload(payloads[row]);
    size_t i = 0;
    for (const auto& [key, field] : indexes.fields) {
      extracted.columns[i++].Add(field.index->spec(), payload, static_cast<Slot>(row));
    }
  }
  return extracted;
}

IndexChanges::IndexChanges(const PayloadIndexes& indexes) {
  for (const auto& [key, field] : indexes.fields) {
    specs_.push_back(field.index->spec());
    removed_.emplace_back(specs_.back().type);
    added_.emplace_back(specs_.back().type);
  }
}

void IndexChanges::Remove(Slot slot, std::string_view payload) {
  const nlohmann::json parsed = ParsePayload(payload);
  for (size_t i = 0; i < specs_.size(); ++i) removed_[i].Add(specs_[i], parsed, slot);
}

void IndexChanges::Add(PayloadColumns columns, std::span<const Slot> slots) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    columns.columns[i].AssignSlots(slots);
    added_[i].Append(columns.columns[i]);
  }
}

std::shared_ptr<const PayloadIndexes> IndexChanges::ApplyTo(const PayloadIndexes& indexes) {
  auto changed = std::make_shared<PayloadIndexes>(indexes);
  size_t i = 0;
  for (auto& [key, field] : changed->fields) {
    added_[i].Remove(forgotten_);
    removed_[i].Sort();
    added_[i].Sort();
    field.index = field.index->With(removed_[i], added_[i]);
    if (!field.ready && !removed_[i].covered.empty()) {
      auto removed = std::make_shared<Roaring>(*field.removed);
      removed->addMany(removed_[i].covered.size(), removed_[i].covered.data());
      field.removed = std::move(removed);
    }
    ++i;
  }
  return changed;
}

}  // namespace tessera
