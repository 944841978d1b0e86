#include "server/engine/orphans.h"

#include <optional>

#include "index/base/status_macros.h"
#include "server/engine/record_keys.h"

namespace tessera {

absl::Status SweepOrphans(Store& store, const std::set<uint32_t>& known) {
  auto batch = store.NewBatch();
  bool orphans = false;
  for (Family family : {Family::kCodebooks, Family::kIds, Family::kPoints, Family::kCodes}) {
    auto it = store.Scan(family, "", "", /*bulk=*/false);
    while (it->Valid()) {
      uint32_t id = 0;
      RETURN_IF_ERROR(ParseCollectionOfKey(it->key(), &id));
      const KeyRange range = CollectionRange(id);
      if (!known.contains(id)) {
        batch->DeleteRange(family, range.begin, range.end);
        orphans = true;
      }
      it->Seek(range.end);
    }
    RETURN_IF_ERROR(it->status());
  }
  auto it = store.Scan(Family::kMeta, "", "", /*bulk=*/false);
  while (it->Valid()) {
    const std::optional<uint32_t> id = CollectionOfMetaKey(it->key());
    if (!id.has_value()) {
      it->Next();
      continue;
    }
    const KeyRange range = KindOfMetaKey(it->key());
    if (!known.contains(*id)) {
      batch->DeleteRange(Family::kMeta, range.begin, range.end);
      orphans = true;
    }
    it->Seek(range.end);
  }
  RETURN_IF_ERROR(it->status());
  return orphans ? store.Commit(*batch, Durability::kSync) : absl::OkStatus();
}

}  // namespace tessera
