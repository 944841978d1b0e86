// HIGH_WATER: any bytes are refused or read. What is read is the mark of one of the two copies, the
// file's owner finds the same, and a higher mark reads as such once it is written. The checksums
// are made to fit for a second try.
//
// An input is the two copies; what comes after the second one is left there.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "index/base/crc32c.h"
#include "server/storage/high_water.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/fuzz/memory_file.h"

namespace {

constexpr size_t kCopyBytes = 16;
constexpr size_t kMarkAt = 4;
constexpr size_t kMarkBytes = 8;
constexpr off_t kCopyDistance = 4096;

uint64_t MarkOf(std::string_view copy) {
  uint64_t mark = 0;
  if (copy.size() < kCopyBytes) return mark;
  for (size_t i = kMarkBytes; i-- > 0;) mark = mark << 8 | static_cast<uint8_t>(copy[kMarkAt + i]);
  return mark;
}

void Read(const tessera::MemoryFile& file, std::string_view bytes) {
  const std::string_view first = bytes.substr(0, kCopyBytes);
  const std::string_view second = bytes.substr(first.size());
  file.Clear();
  file.Write(first, 0);
  file.Write(second, kCopyDistance);
  const auto mark = tessera::HighWater::Read(file.path);
  if (!mark.ok()) {
    FUZZ_CHECK(absl::IsDataLoss(mark.status()));
    FUZZ_CHECK(!tessera::HighWater::Open(file.path).ok());
    return;
  }
  FUZZ_CHECK(*mark == 0 || *mark == MarkOf(first) || *mark == MarkOf(second));
  const auto owned = tessera::HighWater::Open(file.path);
  FUZZ_CHECK(owned.ok());
  FUZZ_CHECK((*owned)->mark() == *mark);
  if (*mark == std::numeric_limits<uint64_t>::max()) return;
  FUZZ_CHECK((*owned)->Raise(*mark + 1).ok());
  const auto raised = tessera::HighWater::Read(file.path);
  FUZZ_CHECK(raised.ok());
  FUZZ_CHECK(*raised == *mark + 1);
}

// `bytes` with fitting checksums of the copies that are whole.
std::string Sealed(std::string_view bytes) {
  constexpr size_t kSealed = kMarkAt + kMarkBytes;
  std::string sealed(bytes);
  for (size_t copy = 0; copy < 2 && (copy + 1) * kCopyBytes <= sealed.size(); ++copy) {
    const size_t at = copy * kCopyBytes;
    const uint32_t crc = tessera::Crc32c(std::string_view(sealed).substr(at, kSealed));
    for (size_t i = 0; i < sizeof(crc); ++i) {
      sealed[at + kSealed + i] = static_cast<char>(crc >> (8 * i));
    }
  }
  return sealed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto& file = *new tessera::MemoryFile("high_water");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Read(file, bytes);
  Read(file, Sealed(bytes));
  return 0;
}
