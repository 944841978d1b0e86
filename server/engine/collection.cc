#include "server/engine/collection.h"

#include <algorithm>
#include <utility>

#include "server/engine/collection_spec.h"

namespace tessera {
Collection::Collection(Store& store, Executor& executor, const CatalogRecord& record, Hooks hooks,
                       const Options& options)
    : CollectionReader(store, options.search_executor, record, hooks.lists_need_work),
      executor_(executor),
      create_time_ms_(record.create_time_ms),
      recorded_codebook_version_(record.codebook_version),
      hooks_(std::move(hooks)),
      deletion_step_points_(std::min(options.deletion_step_points, limits::kDeletionStepPointsMax)),
      row_files_(options.row_files),
      settings_(std::make_shared<CollectionSettings>(
          CollectionSettings{record.spec.index, record.spec.durability, record.spec.metadata, 0})),
      queue_([this](std::span<PendingWrite* const> group) { return CommitGroup(group); }) {
  Publish();
}

CollectionInfo Collection::Info() const {
  const auto now = view();
  CollectionInfo info;
  info.spec = SpecWith(*now->settings);
  info.revision = now->settings->revision;
  if (now->codebook != nullptr) {
    // What training chose where the user left the choice.
    if (info.spec.index.nlist == 0) info.spec.index.nlist = now->codebook->nlist();
    if (info.spec.index.subquantizers == 0) {
      info.spec.index.subquantizers = now->codebook->subquantizers();
    }
    if (info.spec.index.default_nprobe == 0) {
      info.spec.index.default_nprobe = static_cast<uint32_t>(now->defaults.nprobe);
    }
    if (info.spec.index.default_rerank == 0) {
      info.spec.index.default_rerank = static_cast<uint32_t>(now->defaults.rerank);
    }
    if (now->calibration != nullptr) {
      info.calibration = Describe(*now->calibration, ChoiceIn(*now));
      info.memory_bytes += now->calibration->surface.memory_bytes();
    }
  }
  info.state = now->codebook == nullptr ? CollectionState::kUntrained : CollectionState::kReady;
  info.points = points();
  info.verified = verified_.Of(now->codebook_version);
  info.memory_bytes += table_.memory_bytes(now->slot_end) + lists_bytes_.load() +
                       (now->codebook == nullptr ? 0 : now->codebook->memory_bytes());
  const KeyRange range = CollectionRange(id_);
  for (Family family : {Family::kCodebooks, Family::kIds, Family::kPoints, Family::kCodes}) {
    info.disk_bytes += store_.ApproximateBytes(family, range.begin, range.end);
  }
  if (row_file_ != nullptr) info.disk_bytes += row_file_->disk_bytes();
  if (const PayloadCopy* copy = payload_copy_.load()) info.disk_bytes += copy->file().disk_bytes();
  const KeyRange index_parts = IndexPartRange(id_);
  info.disk_bytes += store_.ApproximateBytes(Family::kMeta, index_parts.begin, index_parts.end);
  info.codebook_version = now->codebook_version;
  info.sequence = sequence_.load();
  info.create_time_ms = create_time_ms_;
  for (const auto& [key, field] : now->indexes->fields) {
    const size_t bytes = field.index->memory_bytes();
    info.payload_indexes.push_back(
        {field.index->spec(), field.ready, field.index->valued().cardinality(), bytes});
    info.memory_bytes += bytes;
  }
  return info;
}

}  // namespace tessera
