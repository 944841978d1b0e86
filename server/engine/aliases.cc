#include "server/engine/aliases.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection_spec.h"
#include "server/engine/errors.h"
#include "server/engine/records.h"

namespace tessera {

absl::Status Aliases::Recover() {
  auto map = std::make_shared<Map>();
  const KeyRange range = AliasRange();
  auto it = store_.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  for (; it->Valid(); it->Next()) {
    std::string_view alias;
    std::string_view collection;
    RETURN_IF_ERROR(ParseAliasKey(it->key(), &alias));
    RETURN_IF_ERROR(DecodeAlias(it->key(), it->value(), &collection));
    (*map)[std::string(alias)] = std::string(collection);
  }
  RETURN_IF_ERROR(it->status());
  map_.store(std::move(map));
  return absl::OkStatus();
}

std::optional<std::string> Aliases::Find(const std::string& alias) const {
  const auto map = map_.load();
  const auto it = map->find(alias);
  if (it == map->end()) return std::nullopt;
  return it->second;
}

absl::Status Aliases::Update(const std::vector<AliasAction>& actions,
                             const std::function<bool(const std::string&)>& is_collection) {
  auto next = std::make_shared<Map>(*map_.load());
  auto batch = store_.NewBatch();
  std::string value;
  for (size_t i = 0; i < actions.size(); ++i) {
    const auto& [alias, collection] = actions[i];
    const std::string field = absl::StrCat("actions[", i, "].alias_name");
    RETURN_IF_ERROR(CheckNewName(alias, field));
    const std::string key = AliasKey(alias);
    if (collection.empty()) {
      if (next->erase(alias) == 0) return NotFound("alias", alias);
      batch->Delete(Family::kMeta, key);
      continue;
    }
    if (is_collection(alias)) {
      return ErrorWithReason(absl::StatusCode::kAlreadyExists, "COLLECTION_EXISTS",
                             absl::StrCat("there is a collection of the name ", alias));
    }
    if (!is_collection(collection)) return NotFound("collection", collection);
    (*next)[alias] = collection;
    EncodeAlias(key, collection, &value);
    batch->Put(Family::kMeta, key, value);
  }
  if (next->size() > limits::kAliasesMax) {
    return ErrorWithReason(absl::StatusCode::kResourceExhausted, "TOO_MANY_ALIASES",
                           absl::StrCat("at most ", limits::kAliasesMax, " aliases"));
  }
  RETURN_IF_ERROR(store_.Commit(*batch, Durability::kSync));
  map_.store(std::move(next));
  return absl::OkStatus();
}

std::shared_ptr<const Aliases::Map> Aliases::Without(const std::string& collection,
                                                     StoreBatch& batch) const {
  auto next = std::make_shared<Map>(*map_.load());
  std::erase_if(*next, [&](const auto& entry) {
    if (entry.second != collection) return false;
    batch.Delete(Family::kMeta, AliasKey(entry.first));
    return true;
  });
  return next;
}

}  // namespace tessera
