#ifndef TESSERA_SERVER_RPC_CONVERT_TYPES_H_
#define TESSERA_SERVER_RPC_CONVERT_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/timestamp.pb.h"
#include "index/base/matrix.h"
#include "server/engine/types.h"
#include "tessera/v1/types.pb.h"

// tessera.v1's shared types <-> the engine's. All that fails here is INVALID_ARGUMENT with the
// path of the field at fault, and is refused before anything is allocated for it.
namespace tessera {

// 1 to limits::kCollectionNameBytesMax bytes. The engine knows which letters a new name may have.
absl::Status CheckCollectionName(const std::string& name);

// 1 to limits::kOperationIdBytesMax bytes.
absl::Status CheckOperationId(const std::string& id);

// "<field> is N, the limit is M" if it is over it.
absl::Status CheckAtMost(std::string_view field, uint64_t value, uint64_t value_max);

// UNSPECIFIED is COSINE.
absl::StatusOr<Metric> ToMetric(v1::Metric value, std::string_view field);
v1::Metric FromMetric(Metric metric);

// UNSPECIFIED is FLOAT32.
absl::StatusOr<ElementType> ToElementType(v1::ElementType value, std::string_view field);
v1::ElementType FromElementType(ElementType type);

// UNSPECIFIED is nullopt.
absl::StatusOr<std::optional<Durability>> ToDurability(v1::Durability value,
                                                       std::string_view field);

// 1 to `ids_max` ids, in their order.
absl::StatusOr<std::vector<PointId>> ToPointIds(const v1::PointIds& ids, std::string_view field,
                                                size_t ids_max);
absl::StatusOr<PointId> ToPointId(const v1::PointId& id, std::string_view field);
void FromPointId(const PointId& id, v1::PointId* out);

// A view into the message's own memory, as rows of `dimension`: exactly `rows` of them if given,
// else as many as there are, 1 to `rows_max`.
absl::StatusOr<VectorsView> ToVectors(const v1::Vectors& vectors, std::string_view field,
                                      size_t dimension, std::optional<size_t> rows,
                                      size_t rows_max);

void FromTimeMs(int64_t time_ms, google::protobuf::Timestamp* out);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_TYPES_H_
