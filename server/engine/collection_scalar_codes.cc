// Scalar codes of vectors that are on disk: made of what is written, and after a start of what is
// in the store, in the background. Until a point has its code, searches read its vector.
#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/matrix.h"
#include "index/base/status_macros.h"
#include "index/ivf/candidate_sieve.h"
#include "index/quantize/scalar_code.h"
#include "index/simd/convert.h"
#include "server/engine/collection.h"
#include "server/engine/collection_vectors.h"

namespace tessera {
namespace {

// Vectors that one thread codes at once.
constexpr size_t kCodeGrain = 256;
// Parts of a search (search_parts.h), about, each of which leaves vectors open.
constexpr size_t kParts = 8;
// To read one of them takes as long as to read so many that lie one after the other.
constexpr size_t kReadTimes = 4;

}  // namespace

std::vector<std::byte> Collection::ScalarCodesOf(const std::byte* vectors, size_t n) const {
  const size_t row_bytes = table_.row_bytes();
  std::vector<std::byte> rows(n * row_bytes);
  const auto encode = [&](size_t begin, size_t end) {
    std::vector<float> floats(spec_.dimension);
    for (size_t i = begin; i < end; ++i) {
      ToFloat(spec_.element_type, vectors + i * vector_bytes(), spec_.dimension, floats.data());
      EncodeScalar(spec_.metric, floats, &rows[i * row_bytes]);
    }
  };
  if (n <= kCodeGrain) {
    encode(0, n);
  } else {
    executor_.ParallelFor(n, kCodeGrain, encode);
  }
  return rows;
}

// Null if the table keeps none.
const std::byte* Collection::RowToKeep(const std::byte* vector,
                                       std::vector<std::byte>* scratch) const {
  if (vectors_in_memory()) return vector;
  if (!has_scalar_codes()) return nullptr;
  *scratch = ScalarCodesOf(vector, 1);
  return scratch->data();
}

// Whether to read the vectors that codes leave open, one by one, takes less than to read all.
bool CollectionReader::ScalarCodesLeaveFew(size_t queries, size_t k) const {
  return has_scalar_codes() && queries * k * kOpenTimes * kParts * kReadTimes <= points();
}

// Compares each query with those of the slots that may be among its k nearest by their scalar
// codes: what is found is what a comparison with all would find.
absl::Status CollectionReader::CompareOpenSlots(MatrixView queries, size_t k,
                                                std::span<const Slot> slots,
                                                std::span<const ExactScorer> scorers,
                                                const DistanceVisitor& visit,
                                                Compared* compared) const {
  static thread_local CandidateSieve sieve;
  const CollectionVectors vectors(*this, /*may_wait=*/true);
  std::vector<Slot> open(slots.size());
  for (size_t q = 0; q < queries.rows; ++q) {
    std::copy(slots.begin(), slots.end(), open.begin());
    size_t left = open.size();
    if (left > k) {
      sieve.SetQuery(spec_.metric, queries.row(q));
      sieve.Add(vectors, slots, &compared->by_code);
      left = sieve.Sift(k, open.data());
    }
    size_t there = 0;
    const auto compare = [&](std::span<const Slot> some) {
      compared->in_full += some.size();
      return CompareSlots(scorers.subspan(q, 1), some,
                          [&](size_t, std::span<const Slot> block, const float* distances) {
                            there += block.size();
                            visit(q, block, distances);
                          });
    };
    const std::span<const Slot> all = open;
    RETURN_IF_ERROR(compare(all.first(left)));
    // Some points have been deleted meanwhile: for all that their codes said, others may be
    // nearest.
    if (there < left) RETURN_IF_ERROR(compare(all.subspan(left)));
  }
  return absl::OkStatus();
}

// Does the next step, if there is one. False if nothing is left to do.
bool Collection::FillScalarCodes() {
  if (!scalar_from_.has_value()) return false;
  const absl::Status status = FillSomeScalarCodes();
  if (!status.ok()) {
    // What has no code is read in full: slower, and right.
    Log(absl::StrCat("collection ", spec_.name,
                     ": scalar codes are left out until the next start: ", status.ToString()));
    scalar_from_.reset();
  }
  return scalar_from_.has_value();
}

absl::Status Collection::FillSomeScalarCodes() {
  ASSIGN_OR_RETURN(const StoredRows rows, ReadStoredRows(RowKind::kVector, *scalar_from_));
  const std::vector<std::byte> codes = ScalarCodesOf(rows.vectors.data(), rows.slots.size());
  RETURN_IF_ERROR(queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    for (size_t i = 0; i < rows.slots.size(); ++i) {
      const Slot slot = rows.slots[i];
      // A slot that has been given away since has no code, or that of its new point.
      if (slot >= slots_.end() || dead_.Contains(slot) || table_.LateRow(slot) != nullptr) continue;
      table_.SetLateRow(slot, &codes[i * table_.row_bytes()]);
    }
    return absl::OkStatus();
  }));
  if (!rows.last) {
    scalar_from_ = rows.slots.back() + 1;
    return absl::OkStatus();
  }
  scalar_from_.reset();
  Log(absl::StrCat("collection ", spec_.name, ": the scalar codes of its vectors are complete"));
  return absl::OkStatus();
}

}  // namespace tessera
