#include "index/ivf/rerank.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "index/base/status_macros.h"
#include "index/codebook/codebook.h"
#include "index/simd/lut_scan_select.h"
#include "index/simd/pq_encode.h"
#include "index/simd/select_least.h"

namespace tessera {
namespace {

// So many candidates are compared first, at least so many times as many as are wanted.
constexpr size_t kFirst = 40;
constexpr size_t kFirstTimes = 2;
// Of fewer candidates, or of fewer times as many, all are compared at once: to choose costs as much
// as to compare some.
constexpr size_t kSplitFrom = 100;
constexpr size_t kSplitTimes = 5;

// How many times the spread of what codes say is added before a candidate is held to be too far.
// The more candidates are asked for, the surer it must be that none of those left out matters.
double SureSpreads(size_t candidates) { return std::log2(static_cast<double>(candidates)) - 3.1; }

// The spread is about so many times what it would be if the errors of codes were random directions.
constexpr double kRandomSpreads = 1.5;

double Square(double x) { return x * x; }

// About how far distances are from what codes say: by <q, e>, for L2 by 2 <q - x, e>, with |e|^2
// the mean squared error. For L2 that of a distance of 1; it grows as the root of the distance.
double LikelySpread(const Codebook& codebook, std::span<const float> query) {
  const double spread =
      kRandomSpreads * std::sqrt(codebook.mean_squared_error() / codebook.dimension());
  switch (codebook.metric()) {
    case Metric::kL2:
      return 2 * spread;
    case Metric::kInnerProduct:
      return spread * std::sqrt(FloatDotProduct(query.data(), query.data(), query.size()));
    case Metric::kCosine:
      return spread;
  }
  return spread;
}

Candidates CandidatesOf(const QueryScan& scan) {
  return {scan.scan.distances, scan.scan.slots, scan.scan.count};
}

// Whether some candidates are so far by their codes that it is worth to look at the others first.
bool MayDropSome(const Codebook& codebook, size_t k, std::span<const float> query,
                 const QueryScan& scan) {
  const LutScanQuery& all = scan.scan;
  // If codes have left out nothing so far, nothing is left out.
  if (all.count < std::max(kSplitFrom, kSplitTimes * k) || !scan.thinned_out()) return false;
  const double behind = SureSpreads(all.count) * LikelySpread(codebook, query);
  double farthest_kth = Farthest(all.distances, all.count);
  if (codebook.metric() == Metric::kL2) {
    // Of d + behind sqrt(d) <= farthest.
    const double root = std::sqrt(farthest_kth + Square(behind / 2)) - behind / 2;
    farthest_kth = Square(std::max(0.0, root));
  } else {
    farthest_kth -= behind;
  }
  return CountNear(all.distances, all.count, static_cast<float>(farthest_kth)) >= k;
}

float KthLeast(size_t k, const float* values, size_t n, AlignedBuffer<uint32_t>& scratch) {
  Grow(scratch, n + kSelectLeastSlack);
  const size_t least = SelectLeast(values, n, k, k, scratch.data());
  float most = values[scratch[0]];
  for (size_t i = 1; i < least; ++i) most = std::max(most, values[scratch[i]]);
  return most;
}

}  // namespace

absl::Status Reranker::Rerank(const Codebook& codebook, size_t k, MatrixView queries,
                              const VectorSource& vectors, std::span<QueryScan> scans,
                              uint64_t* refined) {
  const Metric metric = codebook.metric();
  const bool sifted = vectors.has_scalar_codes();
  if (sifted) before_sifting_.resize(std::max(before_sifting_.size(), scans.size()));
  for (size_t q = 0; sifted && q < scans.size(); ++q) {
    const LutScanQuery& scan = scans[q].scan;
    before_sifting_[q].assign(scan.slots, scan.slots + scan.count);
    RETURN_IF_ERROR(Sift(codebook, k, queries.row(q), vectors, scans[q], refined));
  }
  first_.resize(scans.size());
  rest_.resize(scans.size());
  estimates_.clear();
  for (size_t q = 0; q < scans.size(); ++q) {
    first_[q] = CandidatesOf(scans[q]);
    rest_[q] = {};
    // What has been sifted is little, and its estimates are no more.
    if (!sifted) Split(codebook, k, queries.row(q), scans[q], &first_[q], &rest_[q]);
  }
  RETURN_IF_ERROR(comparer_.Compare(metric, queries, vectors, first_));
  if (!estimates_.empty()) {
    const float* estimates = estimates_.data();
    for (size_t q = 0; q < scans.size(); ++q) {
      if (rest_[q].count == 0) continue;
      const auto chosen = static_cast<size_t>(rest_[q].slots - first_[q].slots);
      // Where some are gone, it is not known whose estimates the others have.
      if (first_[q].count == chosen) {
        DropHopeless(codebook, k, queries.row(q), estimates, first_[q], &rest_[q]);
      }
      estimates += chosen;
    }
    RETURN_IF_ERROR(comparer_.Compare(metric, queries, vectors, rest_));
  }
  if (sifted && TakeBackSifted(scans)) {
    RETURN_IF_ERROR(comparer_.Compare(metric, queries, vectors, rest_));
  }
  for (size_t q = 0; q < scans.size(); ++q) {
    LutScanQuery& all = scans[q].scan;
    all.count = first_[q].count + rest_[q].count;
    std::copy_n(rest_[q].distances, rest_[q].count, all.distances + first_[q].count);
    std::copy_n(rest_[q].slots, rest_[q].count, all.slots + first_[q].count);
  }
  return absl::OkStatus();
}

absl::Status Reranker::Sift(const Codebook& codebook, size_t k, std::span<const float> query,
                            const VectorSource& vectors, QueryScan& scan, uint64_t* refined) {
  if (scan.scan.count <= k) return absl::OkStatus();
  Candidates first = CandidatesOf(scan), rest;
  estimates_.clear();
  Split(codebook, k, query, scan, &first, &rest);
  sieve_.SetQuery(codebook.metric(), query);
  const std::span<const Slot> first_slots(first.slots, first.count);
  if (rest.count == 0) {
    sieve_.Add(vectors, first_slots, refined);
  } else {
    RETURN_IF_ERROR(sieve_.AddAll(codebook.metric(), query.size(), vectors, first_slots, refined));
    for (size_t i = 0; i < first.count; ++i) first.distances[i] = sieve_.Estimate(i);
    DropHopeless(codebook, k, query, estimates_.data(), first, &rest);
    sieve_.Add(vectors, {rest.slots, rest.count}, refined);
  }
  scan.scan.count = sieve_.Sift(k, scan.scan.slots);
  return absl::OkStatus();
}

bool Reranker::TakeBackSifted(std::span<QueryScan> scans) {
  bool any = false;
  for (size_t q = 0; q < scans.size(); ++q) {
    LutScanQuery& scan = scans[q].scan;
    if (first_[q].count == scan.count) continue;
    any = true;
    std::copy(before_sifting_[q].begin(), before_sifting_[q].end(), scan.slots);
    first_[q].count = 0;
    rest_[q] = {scan.distances, scan.slots, before_sifting_[q].size()};
  }
  return any;
}

void Reranker::Split(const Codebook& codebook, size_t k, std::span<const float> query,
                     const QueryScan& scan, Candidates* first, Candidates* rest) {
  if (!MayDropSome(codebook, k, query, scan)) return;
  const auto [distances, slots, count] = *first;
  const size_t wanted = std::max(kFirst, kFirstTimes * k);
  Grow(chosen_, count + kSelectLeastSlack);
  const size_t chosen = SelectLeast(distances, count, wanted, wanted + wanted / 8, chosen_.data());
  if (chosen == count) return;
  ChosenFirst(chosen_.data(), chosen, distances, slots);
  estimates_.insert(estimates_.end(), distances, distances + chosen);
  first->count = chosen;
  *rest = {distances + chosen, slots + chosen, count - chosen};
}

void Reranker::DropHopeless(const Codebook& codebook, size_t k, std::span<const float> query,
                            const float* estimates, const Candidates& first, Candidates* rest) {
  double squares = 0;
  for (size_t i = 0; i < first.count; ++i) {
    squares += Square(static_cast<double>(first.distances[i]) - estimates[i]);
  }
  const double kth = KthLeast(k, first.distances, first.count, chosen_);
  // Those compared may be alike, and told better by their codes than others.
  double likely = LikelySpread(codebook, query);
  if (codebook.metric() == Metric::kL2) likely *= std::sqrt(std::max(0.0, kth));
  const double spread = std::max(likely, std::sqrt(squares / static_cast<double>(first.count)));
  const double bound = kth + SureSpreads(first.count + rest->count) * spread;
  rest->count =
      KeepUpTo(rest->distances, rest->slots, rest->count,
               static_cast<float>(std::min<double>(bound, std::numeric_limits<float>::max())));
}

void Reranker::Best(size_t k, QueryScan& scan, std::vector<Neighbor>* result) {
  LutScanQuery& s = scan.scan;
  if (s.count > k) {
    BoundHint hint;
    s.count = KeepSmallest(s.distances, s.slots, s.count, k, k, &hint);
  }
  result->resize(s.count);
  for (size_t i = 0; i < s.count; ++i) (*result)[i] = {s.distances[i], s.slots[i]};
  std::sort(result->begin(), result->end());
  size_t end = std::min(k, result->size());
  while (end > 0 && end < result->size() &&
         (*result)[end].distance == (*result)[end - 1].distance) {
    ++end;
  }
  result->resize(end);
}

}  // namespace tessera
