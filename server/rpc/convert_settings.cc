#include "server/rpc/convert_settings.h"

#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_collections.h"
#include "server/rpc/convert_types.h"

namespace tessera {
namespace {

struct SettingsField {
  std::string_view path;
  void (*copy)(const CollectionSettings& from, CollectionSettings* to);
};

template <auto member>
void CopyIndex(const CollectionSettings& from, CollectionSettings* to) {
  to->index.*member = from.index.*member;
}

template <auto member>
void Copy(const CollectionSettings& from, CollectionSettings* to) {
  to->*member = from.*member;
}

// What can change. UpdateCollectionRequest says from when on.
constexpr SettingsField kFields[] = {
    {"index.nlist", CopyIndex<&IndexConfig::nlist>},
    {"index.subquantizers", CopyIndex<&IndexConfig::subquantizers>},
    {"index.nbits", CopyIndex<&IndexConfig::nbits>},
    {"index.vectors", CopyIndex<&IndexConfig::vectors>},
    {"index.seed", CopyIndex<&IndexConfig::seed>},
    {"index.iterations", CopyIndex<&IndexConfig::iterations>},
    {"index.training_vectors_per_list", CopyIndex<&IndexConfig::training_vectors_per_list>},
    {"index.default_nprobe", CopyIndex<&IndexConfig::default_nprobe>},
    {"index.default_rerank", CopyIndex<&IndexConfig::default_rerank>},
    {"durability", Copy<&CollectionSettings::durability>},
    {"metadata", Copy<&CollectionSettings::metadata>},
};

const SettingsField* FindField(std::string_view path) {
  for (const SettingsField& field : kFields) {
    if (field.path == path) return &field;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<SettingsEdit> ToSettingsEdit(const v1::UpdateCollectionRequest& request) {
  CollectionSettings values;
  ASSIGN_OR_RETURN(values.index, ToIndexConfig(request.index()));
  ASSIGN_OR_RETURN(const auto durability, ToDurability(request.durability(), "durability"));
  values.durability = durability.value_or(Durability::kSync);
  values.metadata = request.metadata();
  if (request.update_mask().paths().empty()) {
    return InvalidField("update_mask", "is empty; it names the fields to change");
  }
  std::vector<const SettingsField*> named;
  for (int i = 0; i < request.update_mask().paths_size(); ++i) {
    const std::string& path = request.update_mask().paths(i);
    const SettingsField* field = FindField(path);
    if (field == nullptr) {
      return InvalidField(absl::StrCat("update_mask.paths[", i, "]"),
                          absl::StrCat("names \"", path, "\", which cannot be changed"));
    }
    named.push_back(field);
  }
  return SettingsEdit([values, named](CollectionSettings* settings) {
    for (const SettingsField* field : named) field->copy(values, settings);
    return absl::OkStatus();
  });
}

}  // namespace tessera
