#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "index/base/crc32c.h"
#include "index/codebook/codebook.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

constexpr size_t kHeaderBytes = 12;  // before the header's checksum

void PutChecksum(std::string& bytes, size_t begin, size_t end) {
  const uint32_t checksum = tessera::Crc32c(std::string_view(bytes).substr(begin, end - begin));
  std::memcpy(bytes.data() + end, &checksum, sizeof(checksum));
}

// Makes the checksums of the header and of every section fit their bytes, as far as the lengths
// stay inside the input: a random change is then not stopped by a checksum alone.
std::string Repair(std::string bytes) {
  if (bytes.size() < kHeaderBytes + 4) return bytes;
  PutChecksum(bytes, 0, kHeaderBytes);
  size_t begin = kHeaderBytes + 4;
  while (bytes.size() - begin >= 4 + 8 + 4) {
    uint64_t length;
    std::memcpy(&length, bytes.data() + begin + 4, sizeof(length));
    if (length > bytes.size() - begin - (4 + 8 + 4)) break;
    const size_t end = begin + 4 + 8 + length;
    PutChecksum(bytes, begin, end);
    begin = end + 4;
  }
  return bytes;
}

void Check(std::string_view bytes) {
  const auto codebook = tessera::Codebook::Parse(bytes);
  if (!codebook.ok()) {
    FUZZ_CHECK(codebook.status().code() == absl::StatusCode::kDataLoss ||
               codebook.status().code() == absl::StatusCode::kUnimplemented);
    return;
  }
  FUZZ_CHECK(tessera::CheckCodebookSpec((*codebook)->spec()).ok());
  // What is read is written again byte for byte: a codebook has one form, so its hash names it.
  FUZZ_CHECK((*codebook)->Serialize() == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  Check(bytes);
  Check(Repair(bytes));
  return 0;
}
