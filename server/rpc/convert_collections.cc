#include "server/rpc/convert_collections.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_filter.h"
#include "server/rpc/convert_types.h"

namespace tessera {
namespace {

constexpr char kTokenVersion = 1;

absl::StatusOr<VectorPlacement> ToPlacement(v1::VectorPlacement value) {
  switch (value) {
    case v1::VECTOR_PLACEMENT_UNSPECIFIED:
    case v1::MEMORY:
      return VectorPlacement::kMemory;
    case v1::DISK:
      return VectorPlacement::kDisk;
    case v1::DISK_SQ8:
      return VectorPlacement::kDiskSq8;
    default:
      break;
  }
  return InvalidField("index.vectors",
                      absl::StrCat("unknown vector placement ", static_cast<int>(value)));
}

v1::VectorPlacement FromPlacement(VectorPlacement placement) {
  switch (placement) {
    case VectorPlacement::kMemory:
      return v1::MEMORY;
    case VectorPlacement::kDisk:
      return v1::DISK;
    case VectorPlacement::kDiskSq8:
      return v1::DISK_SQ8;
  }
  return v1::VECTOR_PLACEMENT_UNSPECIFIED;
}

v1::CollectionState FromState(CollectionState state) {
  switch (state) {
    case CollectionState::kUntrained:
      return v1::UNTRAINED;
    case CollectionState::kTraining:
      return v1::TRAINING;
    case CollectionState::kReady:
      return v1::READY;
  }
  return v1::COLLECTION_STATE_UNSPECIFIED;
}

void FromIndexConfig(const IndexConfig& config, v1::IndexSpec* out) {
  out->set_nlist(config.nlist);
  out->set_subquantizers(config.subquantizers);
  out->set_nbits(config.nbits);
  out->set_vectors(FromPlacement(config.vectors));
  out->set_seed(config.seed);
  out->set_iterations(config.iterations);
  out->set_training_vectors_per_list(config.training_vectors_per_list);
  out->set_default_nprobe(config.default_nprobe);
  out->set_default_rerank(config.default_rerank);
}

void FromCalibration(const CalibrationInfo& info, v1::Calibration* out) {
  out->set_codebook_version(info.codebook_version);
  FromTimeMs(info.create_time_ms, out->mutable_create_time());
  out->set_points(info.points);
  out->set_queries(info.queries);
  out->set_stored_queries(info.stored_queries);
  for (const CalibrationInfo::Depth& depth : info.depths) {
    v1::CalibratedDepth* to = out->add_depths();
    to->set_target_recall(depth.recall);
    to->set_nprobe(depth.nprobe);
    to->set_rerank(depth.rerank);
  }
}

}  // namespace

absl::StatusOr<IndexConfig> ToIndexConfig(const v1::IndexSpec& index) {
  IndexConfig config;
  ASSIGN_OR_RETURN(config.vectors, ToPlacement(index.vectors()));
  config.nlist = index.nlist();
  config.subquantizers = index.subquantizers();
  config.nbits = index.nbits();
  config.seed = index.seed();
  config.iterations = index.iterations();
  config.training_vectors_per_list = index.training_vectors_per_list();
  config.default_nprobe = index.default_nprobe();
  config.default_rerank = index.default_rerank();
  return config;
}

absl::StatusOr<CollectionSpec> ToCollectionSpec(const v1::CreateCollectionRequest& request) {
  CollectionSpec spec;
  RETURN_IF_ERROR(CheckCollectionName(request.collection_name()));
  spec.name = request.collection_name();
  spec.dimension = request.dimension();
  ASSIGN_OR_RETURN(spec.metric, ToMetric(request.metric(), "metric"));
  ASSIGN_OR_RETURN(spec.element_type, ToElementType(request.element_type(), "element_type"));
  ASSIGN_OR_RETURN(spec.index, ToIndexConfig(request.index()));
  ASSIGN_OR_RETURN(const auto durability, ToDurability(request.durability(), "durability"));
  spec.durability = durability.value_or(Durability::kSync);
  spec.metadata = request.metadata();
  return spec;
}

void FromCollectionInfo(const CollectionInfo& info, v1::Collection* out) {
  out->set_collection_name(info.spec.name);
  out->set_dimension(info.spec.dimension);
  out->set_metric(FromMetric(info.spec.metric));
  out->set_element_type(FromElementType(info.spec.element_type));
  FromIndexConfig(info.spec.index, out->mutable_index());
  out->set_state(FromState(info.state));
  out->set_points(info.points);
  out->set_memory_bytes(info.memory_bytes);
  out->set_disk_bytes(info.disk_bytes);
  out->set_codebook_version(info.codebook_version);
  out->set_sequence(info.sequence);
  FromTimeMs(info.create_time_ms, out->mutable_create_time());
  out->set_durability(info.spec.durability == Durability::kAsync ? v1::ASYNC : v1::SYNC);
  out->set_metadata(info.spec.metadata);
  out->set_revision(info.revision);
  for (const PayloadIndexInfo& index : info.payload_indexes) {
    FromPayloadIndexInfo(index, out->add_payload_indexes());
  }
  if (info.verified.has_value()) {
    out->mutable_verified_recall()->set_searches(info.verified->searches);
    out->mutable_verified_recall()->set_recall(info.verified->recall);
    out->mutable_verified_recall()->set_standard_error(info.verified->standard_error);
  }
  if (info.calibration.has_value()) FromCalibration(*info.calibration, out->mutable_calibration());
}

void FromListStatistics(const ListStatistics& statistics, v1::GetListStatisticsResponse* out) {
  out->set_codebook_version(statistics.codebook_version);
  out->set_nlist(statistics.nlist);
  out->set_points(statistics.points);
  out->set_dead_entries(statistics.dead_entries);
  out->set_points_min(statistics.points_min);
  out->set_points_median(statistics.points_median);
  out->set_points_max(statistics.points_max);
  out->set_empty_lists(statistics.empty_lists);
  out->set_imbalance(statistics.imbalance);
  for (const ListFill& fill : statistics.lists) {
    v1::InvertedList* list = out->add_lists();
    list->set_list(fill.list);
    list->set_points(fill.points);
    list->set_dead_entries(fill.dead_entries);
  }
  out->set_next_page_token(statistics.next_page_token);
}

std::string ToCollectionsToken(const std::string& last) {
  return absl::WebSafeBase64Escape(kTokenVersion + last);
}

absl::StatusOr<std::string> FromCollectionsToken(const std::string& token) {
  if (token.empty()) return std::string();
  std::string bytes;
  if (token.size() > limits::kPageTokenBytesMax || !absl::WebSafeBase64Unescape(token, &bytes) ||
      bytes.size() < 2 || bytes.size() > 1 + limits::kCollectionNameBytesMax ||
      bytes[0] != kTokenVersion) {
    return InvalidField("page_token", "is not a token of an earlier page");
  }
  return bytes.substr(1);
}

}  // namespace tessera
