#include "client/cli/messages.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "client/cli/exit_code.h"
#include "client/cpp/error_details.h"
#include "client/cpp/vectors.h"

namespace tessera::cli {
namespace {

Json ToJson(const v1::IndexSpec& index) {
  return Json{{"nlist", index.nlist()},
              {"subquantizers", index.subquantizers()},
              {"nbits", index.nbits()},
              {"vectors", v1::VectorPlacement_Name(index.vectors())},
              {"seed", index.seed()},
              {"iterations", index.iterations()},
              {"training_vectors_per_list", index.training_vectors_per_list()},
              {"default_nprobe", index.default_nprobe()},
              {"default_rerank", index.default_rerank()}};
}

// The shortest decimal that is this float: a plain conversion to double would print 0.9 as
// 0.8999999761581421.
Json FloatToJson(float value) {
  if (!std::isfinite(value)) return nullptr;
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  double wide = value;
  if (error == std::errc()) std::from_chars(text.data(), end, wide);
  return wide;
}

template <typename Enum>
absl::StatusOr<Enum> ParseName(const std::string& name, const char* what,
                               std::initializer_list<std::pair<const char*, Enum>> names) {
  if (name.empty()) return static_cast<Enum>(0);
  for (const auto& [known, value] : names) {
    if (name == known) return value;
  }
  return UsageError(absl::StrCat("unknown ", what, " '", name, "'"));
}

// The values at the end of a path: an array on the way stands for its elements.
void FindMembers(const Json& node, std::span<const std::string> path,
                 std::vector<const Json*>* found) {
  if (path.empty()) {
    found->push_back(&node);
  } else if (node.is_array()) {
    for (const Json& element : node) FindMembers(element, path, found);
  } else if (node.is_object() && node.contains(path.front())) {
    FindMembers(node.at(path.front()), path.subspan(1), found);
  }
}

}  // namespace

Json ToJson(const google::protobuf::Timestamp& time) { return ToText(time); }

Json ToJson(const v1::PayloadIndex& index) {
  return Json{{"key", index.key()},
              {"type", v1::PayloadIndexType_Name(index.type())},
              {"ready", index.ready()},
              {"points", index.points()},
              {"memory_bytes", index.memory_bytes()}};
}

Json ToJson(const v1::Calibration& calibration) {
  Json depths = Json::array();
  for (const v1::CalibratedDepth& depth : calibration.depths()) {
    depths.push_back({{"target_recall", depth.target_recall()},
                      {"nprobe", depth.nprobe()},
                      {"rerank", depth.rerank()}});
  }
  return Json{{"codebook_version", calibration.codebook_version()},
              {"create_time", ToJson(calibration.create_time())},
              {"points", calibration.points()},
              {"queries", calibration.queries()},
              {"stored_queries", calibration.stored_queries()},
              {"depths", depths}};
}

Json ToJson(const v1::Collection& collection) {
  Json indexes = Json::array();
  for (const v1::PayloadIndex& index : collection.payload_indexes())
    indexes.push_back(ToJson(index));
  Json json{{"collection_name", collection.collection_name()},
            {"dimension", collection.dimension()},
            {"metric", v1::Metric_Name(collection.metric())},
            {"element_type", v1::ElementType_Name(collection.element_type())},
            {"index", ToJson(collection.index())},
            {"state", v1::CollectionState_Name(collection.state())},
            {"points", collection.points()},
            {"memory_bytes", collection.memory_bytes()},
            {"disk_bytes", collection.disk_bytes()},
            {"codebook_version", collection.codebook_version()},
            {"sequence", collection.sequence()},
            {"create_time", ToJson(collection.create_time())},
            {"payload_indexes", indexes},
            {"durability", v1::Durability_Name(collection.durability())},
            {"metadata", PayloadToJson(collection.metadata())},
            {"revision", collection.revision()}};
  if (collection.has_calibration()) json["calibration"] = ToJson(collection.calibration());
  if (collection.has_verified_recall()) {
    const v1::VerifiedRecall& verified = collection.verified_recall();
    json["verified_recall"] = Json{{"searches", verified.searches()},
                                   {"recall", verified.recall()},
                                   {"standard_error", verified.standard_error()}};
  }
  return json;
}

Json ToJson(const v1::Codebook& codebook) {
  return Json{{"collection_name", codebook.collection_name()},
              {"version", codebook.version()},
              {"current", codebook.current()},
              {"dimension", codebook.dimension()},
              {"metric", v1::Metric_Name(codebook.metric())},
              {"nlist", codebook.nlist()},
              {"subquantizers", codebook.subquantizers()},
              {"nbits", codebook.nbits()},
              {"code_bytes", codebook.code_bytes()},
              {"content_hash", codebook.content_hash()},
              {"size_bytes", codebook.size_bytes()},
              {"training_vectors", codebook.training_vectors()},
              {"mean_squared_error", codebook.mean_squared_error()},
              {"create_time", ToJson(codebook.create_time())}};
}

Json ToJson(const v1::Operation& operation) {
  Json json{{"operation_id", operation.operation_id()},
            {"kind", operation.kind()},
            {"collection_name", operation.collection_name()},
            {"state", v1::OperationState_Name(operation.state())},
            {"phase", operation.phase()},
            {"done", operation.done()},
            {"total", operation.total()},
            {"start_time", ToJson(operation.start_time())}};
  if (operation.has_end_time()) json["end_time"] = ToJson(operation.end_time());
  if (operation.has_error()) {
    const absl::Status error = ToAbslStatus(operation.error());
    json["error"] = Json{{"code", absl::StatusCodeToString(error.code())},
                         {"message", operation.error().message()}};
  }
  if (operation.codebook_version() > 0) json["codebook_version"] = operation.codebook_version();
  if (!operation.snapshot_id().empty()) json["snapshot_id"] = operation.snapshot_id();
  return json;
}

Json ToJson(const v1::Snapshot& snapshot) {
  if (!snapshot.damage().empty()) {
    return Json{{"snapshot_id", snapshot.snapshot_id()}, {"damage", snapshot.damage()}};
  }
  return Json{{"snapshot_id", snapshot.snapshot_id()},
              {"collection_name", snapshot.collection_name()},
              {"dimension", snapshot.dimension()},
              {"metric", v1::Metric_Name(snapshot.metric())},
              {"element_type", v1::ElementType_Name(snapshot.element_type())},
              {"sequence", snapshot.sequence()},
              {"points", snapshot.points()},
              {"files", snapshot.files()},
              {"size_bytes", snapshot.size_bytes()},
              {"create_time", ToJson(snapshot.create_time())},
              {"creator_version", snapshot.creator_version()},
              {"format_version", snapshot.format_version()}};
}

Json ToJson(const v1::FacetValue& value) {
  return value.has_str()       ? Json(value.str())
         : value.has_integer() ? Json(value.integer())
                               : Json(value.boolean());
}

Json ToJson(const v1::PointId& id) {
  return id.kind_case() == v1::PointId::kStr ? Json(id.str()) : Json(id.num());
}

Json ToJson(const v1::Vectors& vectors) {
  const absl::StatusOr<std::vector<float>> floats = ToFloats(vectors);
  if (!floats.ok()) return nullptr;
  Json json = Json::array();
  for (const float value : *floats) json.push_back(FloatToJson(value));
  return json;
}

Json ToJson(const v1::Point& point) {
  Json json{{"id", ToJson(point.id())}};
  if (!point.payload().empty()) json["payload"] = PayloadToJson(point.payload());
  if (point.has_vector()) json["vector"] = ToJson(point.vector());
  return json;
}

Json ToJson(const v1::ScoredPoint& hit) {
  Json json{{"id", ToJson(hit.id())},
            {"score", FloatToJson(hit.score())},
            {"score_is_exact", hit.score_is_exact()}};
  if (hit.has_bounds()) {
    json["bounds"] = Json{{"lower", FloatToJson(hit.bounds().lower())},
                          {"upper", FloatToJson(hit.bounds().upper())}};
  }
  if (hit.certain_by_code()) json["certain_by_code"] = true;
  if (!hit.payload().empty()) json["payload"] = PayloadToJson(hit.payload());
  if (hit.has_vector()) json["vector"] = ToJson(hit.vector());
  return json;
}

Json PayloadToJson(const std::string& payload) {
  if (payload.empty()) return nullptr;
  Json json = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? Json(payload) : json;
}

std::string PayloadField(const Json& payload, const std::string& field) {
  std::vector<const Json*> found;
  const std::vector<std::string> path = absl::StrSplit(field, '.');
  FindMembers(payload, path, &found);
  std::string joined;
  const auto add = [&joined](const Json& value) {
    absl::StrAppend(&joined, joined.empty() ? "" : ", ",
                    value.is_string() ? value.get<std::string>()
                                      : value.dump(-1, ' ', false, Json::error_handler_t::replace));
  };
  for (const Json* value : found) {
    if (value->is_array()) {
      std::for_each(value->begin(), value->end(), add);
    } else if (!value->is_null()) {
      add(*value);
    }
  }
  return joined;
}

std::string ToText(const v1::PointId& id) {
  if (id.kind_case() != v1::PointId::kStr) return std::to_string(id.num());
  return absl::StrCat("\"", id.str(), "\"");
}

std::string ToText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

absl::StatusOr<v1::Metric> ParseMetric(const std::string& name) {
  return ParseName<v1::Metric>(name, "metric",
                               {{"l2", v1::L2}, {"ip", v1::INNER_PRODUCT}, {"cosine", v1::COSINE}});
}

absl::StatusOr<v1::ElementType> ParseElementType(const std::string& name) {
  return ParseName<v1::ElementType>(name, "element type",
                                    {{"float32", v1::FLOAT32},
                                     {"float16", v1::FLOAT16},
                                     {"uint8", v1::UINT8},
                                     {"int8", v1::INT8}});
}

v1::Durability ParseDurability(const std::string& name) {
  if (name == "sync") return v1::SYNC;
  return name == "async" ? v1::ASYNC : v1::DURABILITY_UNSPECIFIED;
}

absl::StatusOr<v1::VectorPlacement> ParsePlacement(const std::string& name) {
  return ParseName<v1::VectorPlacement>(
      name, "placement", {{"memory", v1::MEMORY}, {"disk", v1::DISK}, {"disk_sq8", v1::DISK_SQ8}});
}

}  // namespace tessera::cli
