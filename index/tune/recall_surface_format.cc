// The stored form of a recall surface; README.md has the grammar.
#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "index/base/byte_io.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/tune/recall_surface.h"

namespace tessera {
namespace {

constexpr uint8_t kVersion = 1;

absl::Status Damaged(const char* what) {
  return absl::DataLossError(absl::StrCat("recall surface: ", what));
}

bool IsAscending(const std::vector<uint32_t>& values) {
  return values.front() > 0 &&
         std::adjacent_find(values.begin(), values.end(), std::greater_equal<>()) == values.end();
}

}  // namespace

std::string RecallSurface::Serialize() const {
  ByteWriter out;
  out.WriteU8(kVersion);
  out.WriteU64(points_);
  out.WriteU32(queries_);
  out.WriteU16(static_cast<uint16_t>(grid_.nprobes.size()));
  out.WriteU16(static_cast<uint16_t>(grid_.reranks.size()));
  out.WriteArray(std::span<const uint32_t>(grid_.nprobes));
  out.WriteArray(std::span<const uint32_t>(grid_.reranks));
  for (const Measured& measured : shares_) {
    out.WriteF32(measured.share);
    out.WriteF32(measured.error);
  }
  return out.Take();
}

absl::StatusOr<RecallSurface> RecallSurface::Parse(std::string_view bytes) {
  ByteReader reader(bytes);
  uint8_t version = 0;
  uint64_t points = 0;
  uint32_t queries = 0;
  uint16_t nprobes = 0, reranks = 0;
  Grid grid;
  if (!reader.ReadU8(&version)) return reader.Truncated("recall surface");
  if (version != kVersion) return Damaged("another version");
  if (!(reader.ReadU64(&points) && reader.ReadU32(&queries) && reader.ReadU16(&nprobes) &&
        reader.ReadU16(&reranks))) {
    return reader.Truncated("recall surface");
  }
  if (points == 0 || queries == 0 || nprobes == 0 || reranks == 0 ||
      nprobes > limits::kCalibratedNprobesMax || reranks > limits::kCalibratedReranksMax) {
    return Damaged("its counts are not what they can be");
  }
  std::vector<float> numbers;
  const size_t shares = kNeighbors.size() * nprobes * reranks;
  if (!(reader.ReadArray(nprobes, &grid.nprobes) && reader.ReadArray(reranks, &grid.reranks) &&
        reader.ReadArray(2 * shares, &numbers))) {
    return reader.Truncated("recall surface");
  }
  RETURN_IF_ERROR(reader.ExpectEnd("recall surface"));
  if (!IsAscending(grid.nprobes) || !IsAscending(grid.reranks) ||
      grid.nprobes.back() > limits::kListsMax || grid.reranks.back() > limits::kRerankMax) {
    return Damaged("its depths are not what they can be");
  }
  if (std::any_of(numbers.begin(), numbers.end(), [](float x) { return !(x >= 0 && x <= 1); })) {
    return Damaged("a share or its error is not between 0 and 1");
  }
  std::vector<Measured> measured(shares);
  for (size_t i = 0; i < shares; ++i) measured[i] = {numbers[2 * i], numbers[2 * i + 1]};
  return RecallSurface(points, queries, std::move(grid), std::move(measured));
}

}  // namespace tessera
