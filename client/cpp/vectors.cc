#include "client/cpp/vectors.h"

#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tessera {

// Vectors are sent as the bytes that memory holds.
static_assert(std::endian::native == std::endian::little);

v1::ElementType ElementTypeToProto(ElementType type) {
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

absl::StatusOr<ElementType> ElementTypeFromProto(v1::ElementType type) {
  switch (type) {
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
  return absl::InvalidArgumentError(absl::StrCat("unknown element type ", static_cast<int>(type)));
}

v1::Vectors MakeVectors(std::string data, ElementType type) {
  v1::Vectors vectors;
  vectors.set_data(std::move(data));
  vectors.set_element_type(ElementTypeToProto(type));
  return vectors;
}

v1::Vectors MakeVectors(std::span<const float> values) {
  return MakeVectors(std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes()),
                     ElementType::kFloat32);
}

absl::StatusOr<std::vector<float>> ToFloats(const v1::Vectors& vectors) {
  if (vectors.values_size() > 0) {
    return std::vector<float>(vectors.values().begin(), vectors.values().end());
  }
  absl::StatusOr<ElementType> type = ElementTypeFromProto(vectors.element_type());
  if (!type.ok()) return type.status();
  const std::string& data = vectors.data();
  const size_t size = ElementSize(*type);
  if (data.size() % size != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("vectors.data: ", data.size(), " bytes are not whole components of ", size));
  }
  std::vector<float> floats(data.size() / size);
  for (size_t i = 0; i < floats.size(); ++i) {
    const char* p = data.data() + i * size;
    switch (*type) {
      case ElementType::kFloat32:
        std::memcpy(&floats[i], p, sizeof(float));
        break;
      case ElementType::kFloat16: {
        uint16_t half;
        std::memcpy(&half, p, sizeof(half));
        floats[i] = HalfToFloat(half);
        break;
      }
      case ElementType::kUint8:
        floats[i] = static_cast<uint8_t>(*p);
        break;
      case ElementType::kInt8:
        floats[i] = static_cast<int8_t>(*p);
        break;
    }
  }
  return floats;
}

v1::PointId MakePointId(uint64_t num) {
  v1::PointId id;
  id.set_num(num);
  return id;
}

v1::PointId MakePointId(std::string_view str) {
  v1::PointId id;
  id.set_str(std::string(str));
  return id;
}

v1::PointIds MakePointIds(std::span<const uint64_t> nums) {
  v1::PointIds ids;
  ids.mutable_num()->Add(nums.begin(), nums.end());
  return ids;
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, which a float holds exactly
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 0x1F ? 0xFFu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

}  // namespace tessera
