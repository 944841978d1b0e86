#include "index/ivf/candidate_sieve.h"

#include "index/base/status_macros.h"
#include "index/quantize/scalar_code.h"
#include "index/simd/convert.h"

namespace tessera {
namespace {

// Bounds the memory of vectors that are read to make codes of them.
constexpr size_t kBytesAtOnce = size_t{64} << 20;

}  // namespace

void CandidateSieve::Locate(const VectorSource& vectors, std::span<const Slot> slots) {
  if (rows_.size() < slots.size()) rows_.resize(slots.size());
  vectors.LocateScalar(slots, rows_.data());
}

void CandidateSieve::Add(const VectorSource& vectors, std::span<const Slot> slots,
                         uint64_t* compared) {
  Locate(vectors, slots);
  ScalarSieve::Add(rows_.data(), slots.size(), compared);
}

absl::Status CandidateSieve::AddAll(Metric metric, size_t dimension, const VectorSource& vectors,
                                    std::span<const Slot> slots, uint64_t* compared) {
  Locate(vectors, slots);
  RETURN_IF_ERROR(MakeCodes(metric, dimension, vectors, slots));
  ScalarSieve::Add(rows_.data(), slots.size(), compared);
  return absl::OkStatus();
}

// Of those that have no row.
absl::Status CandidateSieve::MakeCodes(Metric metric, size_t dimension, const VectorSource& vectors,
                                       std::span<const Slot> slots) {
  missing_.clear();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (rows_[i] == nullptr) missing_.push_back(slots[i]);
  }
  const ElementType type = vectors.element_type();
  const size_t row_bytes = dimension * ElementSize(type);
  if (missing_.empty() || missing_.size() * row_bytes > kBytesAtOnce) return absl::OkStatus();
  fetcher_.Clear();
  fetcher_.Add(vectors, missing_);
  RETURN_IF_ERROR(fetcher_.ReadMissing(vectors, row_bytes));
  const size_t code_bytes = ScalarRowBytes(dimension);
  made_.resize(missing_.size() * code_bytes);
  floats_.resize(dimension);
  std::byte* made = made_.data();
  const std::byte* const* vector = fetcher_.rows().data();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (rows_[i] != nullptr) continue;
    if (*vector != nullptr) {  // else its point is gone
      ToFloat(type, *vector, dimension, floats_.data());
      EncodeScalar(metric, floats_, made);
      rows_[i] = made;
    }
    ++vector;
    made += code_bytes;
  }
  return absl::OkStatus();
}

}  // namespace tessera
