// The manifest of a snapshot: any bytes are refused or read, what is read is written again as the
// same bytes, and names nothing outside the snapshot. The checksum is made to fit for a second try.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "index/base/crc32c.h"
#include "server/snapshot/snapshot_manifest.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

void Decode(std::string_view bytes) {
  const auto manifest = tessera::DecodeSnapshotManifest(bytes);
  if (!manifest.ok()) return;
  FUZZ_CHECK(tessera::EncodeSnapshotManifest(*manifest) == bytes);
  for (const tessera::SnapshotFile& file : manifest->files) {
    FUZZ_CHECK(file.name.find('/') == std::string::npos);
    FUZZ_CHECK(!file.name.empty() && file.name[0] != '.');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Decode(bytes);
  if (size < 4) return 0;
  std::string sealed(bytes.substr(0, size - 4));
  const uint32_t crc = tessera::Crc32c(sealed);
  for (int shift = 0; shift < 32; shift += 8) sealed.push_back(static_cast<char>(crc >> shift));
  Decode(sealed);
  return 0;
}
