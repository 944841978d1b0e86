#include "index/ivf/exact_comparer.h"

#include <algorithm>
#include <cstdint>

#include "index/base/status_macros.h"

namespace tessera {
namespace {

// Candidates located at once, or fewer of long vectors: bounds the memory that vectors read from
// disk take.
constexpr size_t kCandidatesAtOnce = 16'384;
constexpr size_t kBytesAtOnce = size_t{64} << 20;

// Drops the candidates without a row.
void DropMissing(Candidates& candidates, const std::byte** rows) {
  size_t kept = 0;
  for (size_t i = 0; i < candidates.count; ++i) {
    if (rows[i] == nullptr) continue;
    candidates.slots[kept] = candidates.slots[i];
    rows[kept++] = rows[i];
  }
  candidates.count = kept;
}

}  // namespace

absl::Status ExactComparer::Compare(Metric metric, MatrixView queries, const VectorSource& vectors,
                                    std::span<Candidates> candidates) {
  const size_t row_bytes = queries.cols * ElementSize(vectors.element_type());
  const size_t most = std::clamp<size_t>(kBytesAtOnce / row_bytes, 1, kCandidatesAtOnce);
  for (size_t begin = 0; begin < candidates.size();) {
    size_t end = begin, total = 0;
    while (end < candidates.size() && total + candidates[end].count <= most) {
      total += candidates[end++].count;
    }
    if (end == begin) {
      RETURN_IF_ERROR(
          CompareMany(metric, queries.Rows(begin, 1), vectors, most, &candidates[begin]));
      ++end;
    } else {
      RETURN_IF_ERROR(CompareTogether(metric, queries.Rows(begin, end - begin), vectors,
                                      candidates.subspan(begin, end - begin)));
    }
    begin = end;
  }
  return absl::OkStatus();
}

// The candidates of one query, `most` at a time.
absl::Status ExactComparer::CompareMany(Metric metric, MatrixView query,
                                        const VectorSource& vectors, size_t most,
                                        Candidates* candidates) {
  size_t kept = 0;
  for (size_t at = 0; at < candidates->count; at += most) {
    Candidates part = {candidates->distances + at, candidates->slots + at,
                       std::min(most, candidates->count - at)};
    RETURN_IF_ERROR(CompareTogether(metric, query, vectors, {&part, 1}));
    std::copy_n(part.slots, part.count, candidates->slots + kept);
    std::copy_n(part.distances, part.count, candidates->distances + kept);
    kept += part.count;
  }
  candidates->count = kept;
  return absl::OkStatus();
}

absl::Status ExactComparer::CompareTogether(Metric metric, MatrixView queries,
                                            const VectorSource& vectors,
                                            std::span<Candidates> candidates) {
  const ElementType type = vectors.element_type();
  fetcher_.Clear();
  for (const Candidates& c : candidates) fetcher_.Add(vectors, {c.slots, c.count});
  RETURN_IF_ERROR(fetcher_.ReadMissing(vectors, queries.cols * ElementSize(type)));
  const std::byte** rows = fetcher_.rows().data();
  for (size_t q = 0; q < candidates.size(); ++q) {
    Candidates& c = candidates[q];
    const size_t located = c.count;
    if (located == 0) continue;
    if (fetcher_.was_missing()) DropMissing(c, rows);
    if (scorer_ == nullptr) {
      scorer_ = std::make_unique<ExactScorer>(metric, type, queries.row(q));
    } else {
      scorer_->Reset(metric, type, queries.row(q));
    }
    scorer_->Score(rows, c.count, c.distances);
    rows += located;
  }
  return absl::OkStatus();
}

}  // namespace tessera
