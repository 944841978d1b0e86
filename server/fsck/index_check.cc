#include "server/fsck/index_check.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/filter/json_value.h"

namespace tessera {
namespace {

absl::Status ReadSpecs(Store& store, uint32_t id, std::vector<PayloadIndexSpec>* specs) {
  const KeyRange range = PayloadIndexRange(id);
  auto it = store.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  for (; it->Valid(); it->Next()) {
    std::string_view key;
    PayloadIndexSpec spec;
    // A damaged one has been found with the records of the family meta.
    if (!ParsePayloadIndexKey(it->key(), &key).ok() ||
        !DecodePayloadIndex(it->key(), it->value(), &spec.type).ok()) {
      continue;
    }
    // The next start drops one of no field.
    std::optional<FieldPath> path = FieldPath::Stored(key);
    if (!path.has_value()) continue;
    spec.key = *std::move(path);
    specs->push_back(std::move(spec));
  }
  return it->status();
}

}  // namespace

absl::Status IndexCheck::Read(Store& store, uint32_t collection_id, uint64_t sequence) {
  std::vector<PayloadIndexSpec> defined;
  RETURN_IF_ERROR(ReadSpecs(store, collection_id, &defined));
  ASSIGN_OR_RETURN(stored_, ReadStoredIndexes(store, collection_id, sequence, defined));
  if (!stored_.problem.empty()) {
    return absl::DataLossError(absl::StrCat(
        "the stored contents of its payload indexes are of no use: ", stored_.problem));
  }
  for (auto& [key, index] : stored_.fields) {
    specs_.push_back(index->spec());
    AddColumn(specs_.size() - 1, index->Column(), /*stored=*/true);
    index.reset();
  }
  return absl::OkStatus();
}

void IndexCheck::AddPoint(Slot slot, std::string_view payload) {
  if (specs_.empty() || stored_.changed.contains(slot)) return;
  const nlohmann::json parsed = ParsePayload(payload);
  for (size_t i = 0; i < specs_.size(); ++i) {
    FieldColumn column(specs_[i].type);
    column.Add(specs_[i], parsed, slot);
    // An index holds a value of a slot once.
    column.Sort();
    std::visit(
        [](auto& entries) {
          entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
        },
        column.entries);
    AddColumn(i, column, /*stored=*/false);
  }
}

void IndexCheck::AddColumn(size_t field, const FieldColumn& column, bool stored) {
  const auto add = [&](Slot slot, uint64_t hash) {
    uint64_t& sum = sums_[slot];
    sum = stored ? sum + hash : sum - hash;
  };
  std::visit(
      [&](const auto& entries) {
        for (const auto& [value, slot] : entries) add(slot, absl::HashOf(field, value));
      },
      column.entries);
  size_t list = 0;
  for (const auto* slots :
       {&column.covered, &column.exists, &column.valued, &column.nulls, &column.others}) {
    ++list;
    for (const Slot slot : *slots) add(slot, absl::HashOf(field, list, "list"));
  }
}

absl::Status IndexCheck::Compare() const {
  for (const auto& [slot, sum] : sums_) {
    if (sum == 0) continue;
    return absl::DataLossError(absl::StrCat(
        "what is stored of its payload indexes is not what the payload of slot ", slot, " says"));
  }
  return absl::OkStatus();
}

}  // namespace tessera
