#include "index/ivf/rerank.h"

#include <algorithm>

#include "index/base/status_macros.h"
#include "index/simd/lut_scan_select.h"

namespace tessera {
namespace {

// Candidates located at once, or fewer of long vectors: bounds the memory that vectors read from
// disk take.
constexpr size_t kCandidatesAtOnce = 16'384;
constexpr size_t kBytesAtOnce = size_t{64} << 20;

// Drops the candidates without a row.
void DropMissing(QueryScan& scan, const std::byte** rows) {
  size_t kept = 0;
  for (size_t i = 0; i < scan.scan.count; ++i) {
    if (rows[i] == nullptr) continue;
    scan.scan.slots[kept] = scan.scan.slots[i];
    rows[kept++] = rows[i];
  }
  scan.scan.count = kept;
}

}  // namespace

absl::Status Reranker::Rerank(Metric metric, size_t k, MatrixView queries,
                              const VectorSource& vectors, std::span<QueryScan> scans,
                              uint64_t* refined) {
  if (vectors.has_scalar_codes()) {
    for (size_t q = 0; q < scans.size(); ++q) {
      LutScanQuery& candidates = scans[q].scan;
      candidates.count = sieve_.Sift(metric, k, queries.row(q), vectors,
                                     {candidates.slots, candidates.count}, refined);
    }
  }
  const size_t row_bytes = queries.cols * ElementSize(vectors.element_type());
  const size_t most = std::clamp<size_t>(kBytesAtOnce / row_bytes, 1, kCandidatesAtOnce);
  for (size_t begin = 0; begin < scans.size();) {
    size_t end = begin, candidates = 0;
    while (end < scans.size() && candidates + scans[end].scan.count <= most) {
      candidates += scans[end++].scan.count;
    }
    if (end == begin) {
      RETURN_IF_ERROR(RerankMany(metric, queries.Rows(begin, 1), vectors, most, scans[begin]));
      ++end;
    } else {
      RETURN_IF_ERROR(RerankSome(metric, queries.Rows(begin, end - begin), vectors,
                                 scans.subspan(begin, end - begin)));
    }
    begin = end;
  }
  return absl::OkStatus();
}

// The candidates of one query, `most` at a time.
absl::Status Reranker::RerankMany(Metric metric, MatrixView query, const VectorSource& vectors,
                                  size_t most, QueryScan& scan) {
  LutScanQuery& all = scan.scan;
  size_t kept = 0;
  for (size_t at = 0; at < all.count; at += most) {
    QueryScan part = scan;
    part.scan.slots = all.slots + at;
    part.scan.distances = all.distances + at;
    part.scan.count = std::min(most, all.count - at);
    RETURN_IF_ERROR(RerankSome(metric, query, vectors, {&part, 1}));
    std::copy_n(part.scan.slots, part.scan.count, all.slots + kept);
    std::copy_n(part.scan.distances, part.scan.count, all.distances + kept);
    kept += part.scan.count;
  }
  all.count = kept;
  return absl::OkStatus();
}

absl::Status Reranker::RerankSome(Metric metric, MatrixView queries, const VectorSource& vectors,
                                  std::span<QueryScan> scans) {
  size_t total = 0;
  for (const QueryScan& scan : scans) total += scan.scan.count;
  if (rows_.size() < total) rows_.resize(total);
  missing_.clear();
  missing_at_.clear();
  size_t at = 0;
  for (const QueryScan& scan : scans) {
    const std::span<const Slot> slots(scan.scan.slots, scan.scan.count);
    vectors.Locate(slots, rows_.data() + at);
    for (size_t i = 0; i < slots.size(); ++i) {
      if (rows_[at + i] != nullptr) continue;
      missing_.push_back(slots[i]);
      missing_at_.push_back(at + i);
    }
    at += slots.size();
  }
  const ElementType type = vectors.element_type();
  if (!missing_.empty()) {
    const size_t row_bytes = queries.cols * ElementSize(type);
    if (read_.size() < missing_.size() * row_bytes) {
      read_ = AlignedBuffer<std::byte>(missing_.size() * row_bytes);
    }
    if (found_size_ < missing_.size()) {
      found_ = std::make_unique<bool[]>(missing_.size());
      found_size_ = missing_.size();
    }
    RETURN_IF_ERROR(vectors.Read(missing_, read_.data(), found_.get()));
    for (size_t i = 0; i < missing_.size(); ++i) {
      if (found_[i]) rows_[missing_at_[i]] = read_.data() + i * row_bytes;
    }
  }
  at = 0;
  for (size_t q = 0; q < scans.size(); ++q) {
    const size_t located = scans[q].scan.count;
    if (!missing_.empty()) DropMissing(scans[q], rows_.data() + at);
    if (scorer_ == nullptr) {
      scorer_ = std::make_unique<ExactScorer>(metric, type, queries.row(q));
    } else {
      scorer_->Reset(metric, type, queries.row(q));
    }
    scorer_->Score(rows_.data() + at, scans[q].scan.count, scans[q].scan.distances);
    at += located;
  }
  return absl::OkStatus();
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
