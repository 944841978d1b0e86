#ifndef TESSERA_SERVER_ENGINE_BIG_ENDIAN_H_
#define TESSERA_SERVER_ENGINE_BIG_ENDIAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

// Unsigned integers in keys, whose byte order is then the order of the numbers.
template <class T>
void AppendBigEndian(T value, std::string* key) {
  char bytes[sizeof(T)];
  for (size_t i = 0; i < sizeof(T); ++i) {
    bytes[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  }
  key->append(bytes, sizeof(T));
}

// The caller has checked that the bytes are there.
template <class T>
T ReadBigEndian(std::string_view key, size_t offset) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8) | static_cast<uint8_t>(key[offset + i]);
  }
  return value;
}

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_BIG_ENDIAN_H_
