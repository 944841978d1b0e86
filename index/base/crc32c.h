#ifndef TESSERA_INDEX_BASE_CRC32C_H_
#define TESSERA_INDEX_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tessera {

// CRC-32C (Castagnoli polynomial, reflected, initial value and final xor of all ones), as in
// iSCSI (RFC 3720, appendix B.4).

// The checksum of A + B from the checksum of A and the bytes of B. The checksum of nothing is 0.
uint32_t ExtendCrc32c(uint32_t crc, const void* data, size_t size);

inline uint32_t Crc32c(const void* data, size_t size) { return ExtendCrc32c(0, data, size); }
inline uint32_t Crc32c(std::string_view bytes) { return Crc32c(bytes.data(), bytes.size()); }

// The same by table, one byte at a time: for processors without the instruction, and the reference
// that tests compare with.
uint32_t ExtendCrc32cPortable(uint32_t crc, const void* data, size_t size);

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_CRC32C_H_
