// Contents of payload indexes: any parts are read without a crash, and an index that is accepted is
// written and read again as it is.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/filter/field_contents.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace tessera;  // NOLINT: a program of its own

// So that a few bytes of runs do not become gigabytes of columns.
constexpr uint64_t kSlotEnd = 1 << 12;

std::shared_ptr<const FieldIndex> Read(const PayloadIndexSpec& spec,
                                       const std::vector<std::string>& parts,
                                       const Roaring& without) {
  FieldContentsReader reader(spec, kSlotEnd, without);
  for (const std::string& part : parts) {
    if (!reader.Add(part)) return nullptr;
  }
  return reader.Finish();
}

std::vector<std::string> Written(const FieldIndex& index) {
  std::vector<std::string> parts;
  const absl::Status status = WriteFieldContents(index, [&](std::string_view part) {
    parts.emplace_back(part);
    return absl::OkStatus();
  });
  FUZZ_CHECK(status.ok());
  return parts;
}

bool Same(const FieldColumn& a, const FieldColumn& b) {
  return a.entries == b.entries && a.covered == b.covered && a.exists == b.exists &&
         a.valued == b.valued && a.nulls == b.nulls && a.others == b.others;
}

}  // namespace

// The first byte is the type of index; then each part behind its size, a u16.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const PayloadIndexSpec spec{FieldPath("a"), static_cast<PayloadIndexType>(1 + data[0] % 5)};
  std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  std::vector<std::string> parts;
  while (rest.size() >= 2) {
    const size_t part = static_cast<uint8_t>(rest[0]) | size_t{static_cast<uint8_t>(rest[1])} << 8;
    parts.emplace_back(rest.substr(2, part));
    rest = rest.substr(2 + parts.back().size());
  }
  const auto index = Read(spec, parts, {});
  if (index == nullptr) return 0;
  const auto again = Read(spec, Written(*index), {});
  FUZZ_CHECK(again != nullptr && Same(again->Column(), index->Column()));
  // Without some slots it is what is left without them.
  Roaring without;
  for (Slot slot = 0; slot < kSlotEnd; slot += 2) without.add(slot);
  const auto odd = Read(spec, parts, without);
  FUZZ_CHECK(odd != nullptr);
  FieldColumn column = index->Column();
  column.Remove(without);
  FUZZ_CHECK(Same(odd->Column(), column));
  return 0;
}
