#include "server/rpc/convert_types.h"

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

std::string Path(std::string_view field, std::string_view member) {
  std::string path(field);
  path.append(".").append(member);
  return path;
}

bool IsStringId(const std::string& id) {
  return !id.empty() && id.size() <= limits::kStringIdBytesMax;
}

absl::Status NoStringId(const std::string& id, const std::string& path) {
  return InvalidField(
      path, absl::StrCat("is ", id.size(), " bytes, must be 1 to ", limits::kStringIdBytesMax));
}

// The message's vectors as one row of unknown shape.
absl::StatusOr<VectorsView> ToFlat(const v1::Vectors& vectors, std::string_view field) {
  VectorsView view;
  if (vectors.values_size() > 0) {
    if (!vectors.data().empty()) {
      return InvalidField(field, "has both values and data, must have one of them");
    }
    if (vectors.element_type() != v1::ELEMENT_TYPE_UNSPECIFIED &&
        vectors.element_type() != v1::FLOAT32) {
      return InvalidField(Path(field, "element_type"),
                          "values are FLOAT32, this is the type of data");
    }
    view.data = reinterpret_cast<const std::byte*>(vectors.values().data());
    view.dim = static_cast<size_t>(vectors.values_size());
    return view;
  }
  ASSIGN_OR_RETURN(view.type, ToElementType(vectors.element_type(), Path(field, "element_type")));
  const std::string& bytes = vectors.data();
  if (bytes.empty()) return InvalidField(field, "has neither values nor data");
  if (bytes.size() % ElementSize(view.type) != 0) {
    return InvalidField(
        Path(field, "data"),
        absl::StrCat("is ", bytes.size(), " bytes, not a multiple of the element's ",
                     ElementSize(view.type)));
  }
  view.data = reinterpret_cast<const std::byte*>(bytes.data());
  view.dim = bytes.size() / ElementSize(view.type);
  return view;
}

}  // namespace

absl::Status CheckCollectionName(const std::string& name) {
  if (!name.empty() && name.size() <= limits::kCollectionNameBytesMax) return absl::OkStatus();
  return InvalidField("collection_name", absl::StrCat("is ", name.size(), " bytes, must be 1 to ",
                                                      limits::kCollectionNameBytesMax));
}

absl::Status CheckOperationId(const std::string& id) {
  if (!id.empty() && id.size() <= limits::kOperationIdBytesMax) return absl::OkStatus();
  return InvalidField("operation_id", absl::StrCat("is ", id.size(), " bytes, must be 1 to ",
                                                   limits::kOperationIdBytesMax));
}

absl::Status CheckAtMost(std::string_view field, uint64_t value, uint64_t value_max) {
  if (value <= value_max) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("is ", value, ", the limit is ", value_max));
}

absl::StatusOr<Metric> ToMetric(v1::Metric value, std::string_view field) {
  switch (value) {
    case v1::METRIC_UNSPECIFIED:
    case v1::COSINE:
      return Metric::kCosine;
    case v1::L2:
      return Metric::kL2;
    case v1::INNER_PRODUCT:
      return Metric::kInnerProduct;
    default:
      break;
  }
  return InvalidField(field, absl::StrCat("unknown metric ", static_cast<int>(value)));
}

v1::Metric FromMetric(Metric metric) {
  switch (metric) {
    case Metric::kL2:
      return v1::L2;
    case Metric::kInnerProduct:
      return v1::INNER_PRODUCT;
    case Metric::kCosine:
      return v1::COSINE;
  }
  return v1::METRIC_UNSPECIFIED;
}

absl::StatusOr<ElementType> ToElementType(v1::ElementType value, std::string_view field) {
  switch (value) {
    case v1::ELEMENT_TYPE_UNSPECIFIED:
    case v1::FLOAT32:
      return ElementType::kFloat32;
    case v1::FLOAT16:
      return ElementType::kFloat16;
    case v1::UINT8:
      return ElementType::kUint8;
    case v1::INT8:
      return ElementType::kInt8;
    default:
      break;
  }
  return InvalidField(field, absl::StrCat("unknown element type ", static_cast<int>(value)));
}

v1::ElementType FromElementType(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return v1::FLOAT32;
    case ElementType::kFloat16:
      return v1::FLOAT16;
    case ElementType::kUint8:
      return v1::UINT8;
    case ElementType::kInt8:
      return v1::INT8;
  }
  return v1::ELEMENT_TYPE_UNSPECIFIED;
}

absl::StatusOr<std::optional<Durability>> ToDurability(v1::Durability value,
                                                       std::string_view field) {
  switch (value) {
    case v1::DURABILITY_UNSPECIFIED:
      return std::nullopt;
    case v1::SYNC:
      return Durability::kSync;
    case v1::ASYNC:
      return Durability::kAsync;
    default:
      break;
  }
  return InvalidField(field, absl::StrCat("unknown durability ", static_cast<int>(value)));
}

absl::StatusOr<std::vector<PointId>> ToPointIds(const v1::PointIds& ids, std::string_view field,
                                                size_t ids_max) {
  if (ids.num_size() > 0 && ids.str_size() > 0) {
    return InvalidField(field, "has both num and str, must have one of them");
  }
  const size_t count = static_cast<size_t>(ids.num_size() + ids.str_size());
  if (count == 0) return InvalidField(field, "is empty");
  if (count > ids_max) {
    return InvalidField(field, absl::StrCat("has ", count, " ids, the limit is ", ids_max));
  }
  std::vector<PointId> out;
  out.reserve(count);
  for (const uint64_t num : ids.num()) out.emplace_back(num);
  for (int i = 0; i < ids.str_size(); ++i) {
    if (!IsStringId(ids.str(i))) {
      return NoStringId(ids.str(i), Path(field, absl::StrCat("str[", i, "]")));
    }
    out.emplace_back(ids.str(i));
  }
  return out;
}

absl::StatusOr<PointId> ToPointId(const v1::PointId& id, std::string_view field) {
  switch (id.kind_case()) {
    case v1::PointId::kNum:
      return PointId(id.num());
    case v1::PointId::kStr:
      if (!IsStringId(id.str())) return NoStringId(id.str(), Path(field, "str"));
      return PointId(id.str());
    case v1::PointId::KIND_NOT_SET:
      break;
  }
  return InvalidField(field, "is empty");
}

void FromPointId(const PointId& id, v1::PointId* out) {
  if (const auto* num = std::get_if<uint64_t>(&id)) {
    out->set_num(*num);
  } else {
    out->set_str(std::get<std::string>(id));
  }
}

absl::StatusOr<VectorsView> ToVectors(const v1::Vectors& vectors, std::string_view field,
                                      size_t dimension, std::optional<size_t> rows,
                                      size_t rows_max) {
  ASSIGN_OR_RETURN(VectorsView view, ToFlat(vectors, field));
  const size_t components = view.dim;
  const std::string path = Path(field, vectors.values_size() > 0 ? "values" : "data");
  if (rows.has_value() && components != *rows * dimension) {
    return InvalidField(
        path, absl::StrCat("has ", components, " components, ", *rows, " vectors of dimension ",
                           dimension, " have ", *rows * dimension));
  }
  if (components % dimension != 0) {
    return InvalidField(
        path, absl::StrCat("has ", components, " components, not a multiple of the dimension ",
                           dimension));
  }
  view.rows = components / dimension;
  view.dim = dimension;
  if (view.rows > rows_max) {
    return InvalidField(path, absl::StrCat("has ", view.rows, " vectors, the limit is ", rows_max));
  }
  return view;
}

void FromTimeMs(int64_t time_ms, google::protobuf::Timestamp* out) {
  int64_t seconds = time_ms / 1'000;
  int64_t rest_ms = time_ms % 1'000;
  if (rest_ms < 0) {
    rest_ms += 1'000;
    --seconds;
  }
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(rest_ms * 1'000'000));
}

}  // namespace tessera
