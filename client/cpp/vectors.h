#ifndef TESSERA_CLIENT_CPP_VECTORS_H_
#define TESSERA_CLIENT_CPP_VECTORS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "index/base/types.h"
#include "tessera/v1/points.pb.h"
#include "tessera/v1/types.pb.h"

// Messages from what a program has at hand. Thread-safe: pure functions.
namespace tessera {

// Wire enums <-> the index's enums. ElementTypeFromProto reads UNSPECIFIED as FLOAT32, as the API
// does.
v1::ElementType ElementTypeToProto(ElementType type);
absl::StatusOr<ElementType> ElementTypeFromProto(v1::ElementType type);

// Vectors from the little-endian components of `type`, row after row, without converting them:
// `data` is moved into the message.
v1::Vectors MakeVectors(std::string data, ElementType type);

// Vectors from floats, row after row; the compact `data` form is used.
v1::Vectors MakeVectors(std::span<const float> values);

// The components as floats, whichever form and element type they came in. INVALID_ARGUMENT if the
// bytes are not a whole number of components.
absl::StatusOr<std::vector<float>> ToFloats(const v1::Vectors& vectors);

v1::PointId MakePointId(uint64_t num);
v1::PointId MakePointId(std::string_view str);
v1::PointIds MakePointIds(std::span<const uint64_t> nums);

// IEEE 754 binary16 -> binary32, exactly, subnormals and NaN included.
float HalfToFloat(uint16_t half);

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_VECTORS_H_
