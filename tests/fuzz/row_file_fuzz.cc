// A row file: any bytes are taken for rows or thrown away. Rows that are found are those that lie
// in the file, and none is once it has begun anew. The head's checksum is made to fit for a second
// try.
//
// An input is the head, and behind it the rows.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "index/base/crc32c.h"
#include "server/storage/cached_reader.h"
#include "server/storage/row_file.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/fuzz/memory_file.h"

namespace {

constexpr size_t kHeadBytes = 88;
constexpr size_t kRowBytes = 8;
constexpr size_t kRowDistance = kRowBytes + 4;
constexpr off_t kRowsOffset = 4096;
constexpr tessera::Slot kSlots[] = {0, 1, 2, 3, 0xFFFF'FF00};

void Read(const tessera::MemoryFile& file, std::string_view bytes) {
  const std::string_view head = bytes.substr(0, kHeadBytes);
  const std::string_view rows = bytes.substr(head.size());
  file.Clear();
  file.Write(head, 0);
  file.Write(rows, kRowsOffset);
  // One for all inputs: it takes the kernel long to end a queue.
  static const auto& reader = *new auto(std::make_shared<tessera::CachedReader>());
  const tessera::RowFileOptions options{.path = file.path,
                                        .collection = 1,
                                        .create_time_ms = 2,
                                        .row_bytes = kRowBytes,
                                        .boot_id = std::string(36, 'b'),
                                        .reader = reader};
  const auto opened = tessera::RowFile::Open(options, 5);
  FUZZ_CHECK(opened.ok());
  std::byte out[std::size(kSlots) * kRowBytes];
  bool found[std::size(kSlots)];
  (*opened)->Read(kSlots, out, found);
  for (size_t i = 0; i < std::size(kSlots); ++i) {
    if (!found[i]) continue;
    FUZZ_CHECK((*opened)->is_complete());
    const size_t at = kSlots[i] * kRowDistance;
    FUZZ_CHECK(at + kRowDistance <= rows.size());
    FUZZ_CHECK(std::memcmp(out + i * kRowBytes, rows.data() + at, kRowBytes) == 0);
  }
}

// `bytes` with a fitting checksum of the head.
std::string Sealed(std::string_view bytes) {
  std::string sealed(bytes);
  if (sealed.size() < kHeadBytes) return sealed;
  const size_t at = kHeadBytes - sizeof(uint32_t);
  const uint32_t crc = tessera::Crc32c(std::string_view(sealed).substr(0, at));
  for (size_t i = 0; i < sizeof(crc); ++i) sealed[at + i] = static_cast<char>(crc >> (8 * i));
  return sealed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& file = *new tessera::MemoryFile("row_file");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Read(file, bytes);
  Read(file, Sealed(bytes));
  return 0;
}
