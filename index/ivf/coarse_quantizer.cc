#include "index/ivf/coarse_quantizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "index/base/matrix.h"
#include "index/cluster/outliers.h"
#include "index/cluster/random.h"
#include "index/codebook/parameters.h"
#include "index/ivf/near_lists.h"
#include "index/ivf/query_scan.h"
#include "index/simd/convert.h"
#include "index/simd/lut_scan_select.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Below this many, comparing all centroids exactly costs about as much as finding candidates.
constexpr size_t kQuantizeMin = 512;

// Components of a subquantizer of centroids' codes: as many as find this share of the nearer half
// of the lists that searches probe. Which those are depends on the data: README.md, "Order of
// lists".
constexpr size_t kComponentsTried[] = {4, 2, 1};
constexpr double kNearHalfWanted = 0.95;
// Where even the finest codes find less than this, centroids differ by less than the tables of a
// query can tell: all are compared exactly.
constexpr double kNearHalfLeast = 0.9;
constexpr size_t kSampleQueries = 64;

// Half precision serves where it moves centroids by this part, at most, of the distance to the next
// one, of nine in ten of a sample.
constexpr double kMoved = 1.0 / 64;
constexpr double kMovedLittle = 0.9;
constexpr size_t kSampleCentroids = 64, kSampleCentroidsMin = 8;
constexpr size_t kSampleDistances = size_t{1} << 22;

// Centroids to compare exactly so that nearly all of the `most` nearest are among them.
size_t Wanted(size_t most, size_t nlist) { return std::min(nlist, most + most / 2 + 32); }

// Brings the nearest kSortedFirst lists to the front, in order; the order of the rest is of no use,
// and sorting them all would take as long as scanning several lists.
void SortFirst(std::vector<Neighbor>& lists) {
  size_t sorted = lists.size();
  if (sorted > 2 * CoarseQuantizer::kSortedFirst) {
    sorted = CoarseQuantizer::kSortedFirst;
    NearestFirst(lists, sorted);
  }
  std::sort(lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(sorted));
}

VectorsView AsFloats(MatrixView rows) {
  return {reinterpret_cast<const std::byte*>(rows.data), ElementType::kFloat32, rows.rows,
          rows.cols};
}

// Of one of the rows from the next, squared. `distances` has room for all rows.
float NextDistance(MatrixView rows, size_t row, float* distances) {
  const ExactScorer scorer(Metric::kL2, ElementType::kFloat32, rows.row(row));
  scorer.ScoreContiguous(AsFloats(rows).data, rows.rows, distances);
  distances[row] = std::numeric_limits<float>::max();
  return *std::min_element(distances, distances + rows.rows);
}

// Vectors like those in the lists: centroids, and what codes may stand for around them. Not farther
// than the next centroid: most codewords may be long ones, that few vectors have.
Matrix SampleQueries(const Codebook& codebook) {
  Random random(3);
  Matrix queries(kSampleQueries, codebook.dimension());
  std::vector<uint8_t> code(codebook.code_bytes());
  std::vector<float> residual(codebook.dimension());
  AlignedBuffer<float> distances(codebook.nlist());
  for (size_t q = 0; q < queries.rows(); ++q) {
    for (uint8_t& byte : code) byte = static_cast<uint8_t>(random.Below(256));
    codebook.DecodeResidual(code.data(), residual.data());
    const size_t list = random.Below(codebook.nlist());
    const auto centroid = codebook.centroids().row(list);
    const float next = NextDistance(codebook.centroids(), list, distances.data());
    const float length2 = FloatDotProduct(residual.data(), residual.data(), residual.size());
    const float scale = length2 > next ? std::sqrt(next / length2) : 1.0f;
    for (size_t t = 0; t < residual.size(); ++t) {
      queries.row(q)[t] = centroid[t] + scale * residual[t];
    }
  }
  return queries;
}

// Whether `halves` are the centroids still: not where these are small numbers, or lie much closer
// together than they are long.
bool HalvesTellApart(MatrixView centroids, const VectorsView& halves) {
  const size_t n = centroids.rows;
  const size_t samples =
      std::min(n, std::clamp(kSampleDistances / n, kSampleCentroidsMin, kSampleCentroids));
  AlignedBuffer<float> distances(n);
  size_t moved_little = 0;
  for (size_t i = 0; i < samples; ++i) {
    const size_t sample = i * n / samples;
    const float next = NextDistance(centroids, sample, distances.data());
    const std::byte* row = halves.row(sample);
    float moved = 0;
    ExactScorer(Metric::kL2, halves.type, centroids.row(sample)).Score(&row, 1, &moved);
    moved_little += moved <= kMoved * kMoved * next;
  }
  return static_cast<double>(moved_little) >= kMovedLittle * static_cast<double>(samples);
}

// Of the nearer half of each query's nprobe lists in `exact`, the share that is in `found`, too.
double NearHalfFound(std::vector<Neighbor> exact, std::span<const Neighbor> found, size_t nprobe) {
  const size_t half = (nprobe + 1) / 2;
  size_t total = 0, both = 0;
  for (size_t begin = 0; begin < exact.size(); begin += nprobe) {
    const std::span<const Neighbor> all = found.subspan(begin, nprobe);
    const std::span<Neighbor> nearest(exact.data() + begin, nprobe);
    std::sort(nearest.begin(), nearest.end());
    for (const Neighbor& list : nearest.first(half)) {
      both += std::any_of(all.begin(), all.end(),
                          [&](const Neighbor& other) { return other.slot == list.slot; });
    }
    total += half;
  }
  return static_cast<double>(both) / static_cast<double>(total);
}

}  // namespace

CoarseQuantizer::CoarseQuantizer(std::shared_ptr<const Codebook> codebook)
    : codebook_(std::move(codebook)),
      metric_(codebook_->metric() == Metric::kL2 ? Metric::kL2 : Metric::kInnerProduct),
      rank_terms_(codebook_->RankTerms()) {
  const MatrixView centroids = codebook_->centroids();
  half_ = AlignedBuffer<std::byte>(centroids.rows * centroids.cols * 2);
  if (!ConvertVectors(AsFloats(centroids), ElementType::kFloat16, half_.data()).ok() ||
      !HalvesTellApart(centroids, Stored())) {
    half_ = {};
  }
  if (centroids.rows >= kQuantizeMin) MakeCodes();
}

void CoarseQuantizer::MakeCodes() {
  const std::vector<uint32_t> coded = WithoutOutliers(codebook_->centroids());
  const bool all_coded = coded.size() == codebook_->nlist();
  const Matrix some = all_coded ? Matrix() : RowsOf(codebook_->centroids(), coded);
  const MatrixView rows = all_coded ? codebook_->centroids() : some.view();
  const Matrix queries = SampleQueries(*codebook_);
  const size_t nprobe =
      ChooseSearchDefaults(codebook_->spec(), ProbeRule(), SearchNeeds(), /*points=*/0).nprobe;
  Scratch scratch;
  const auto nearest = [&] {
    std::vector<Neighbor> lists(queries.rows() * nprobe);
    Nearest(queries.data(), queries.rows(), nprobe, scratch, lists.data());
    return lists;
  };
  const std::vector<Neighbor> exact = nearest();  // there are no codes yet
  if (!all_coded) SetCoded(coded);
  // Queries are brought to length 1 where radii count.
  std::vector<float> addends;
  if (!codebook_->radii().empty()) {
    for (uint32_t list : coded) {
      addends.push_back(-Codebook::kRadiusWeight * codebook_->radii()[list]);
    }
  }
  const bool by_l2 = addends.empty() && !rank_terms_.empty();
  double found = 0;
  for (size_t components : kComponentsTried) {
    codes_ = CentroidCodes(rows, by_l2 ? Metric::kL2 : metric_, components, addends);
    found = NearHalfFound(exact, nearest(), nprobe);
    if (found >= kNearHalfWanted) return;
  }
  if (found < kNearHalfLeast) codes_ = {};
}

void CoarseQuantizer::SetCoded(std::vector<uint32_t> coded) {
  for (uint32_t list = 0, next = 0; list < codebook_->nlist(); ++list) {
    if (next < coded.size() && coded[next] == list) {
      ++next;
    } else {
      uncoded_.push_back(list);
    }
  }
  coded_ = std::move(coded);
}

void CoarseQuantizer::CodedToCandidates(const float* query, size_t most,
                                        const ProbeRule::Reach* reach, QueryScan* found) const {
  LutScanQuery& scan = found->scan;
  if (scan.count < most) {
    scan.count = codebook_->nlist();
    return;
  }
  if (reach == nullptr) {
    found->Finish();
  } else {
    // About as many as there will be by their distances.
    const size_t count =
        ProbeRule::ToProbe(*reach, scan.distances, scan.count, codebook_->LengthenedShift(query))
            .count;
    const size_t wanted = std::min(Wanted(count, codebook_->nlist()), found->keep);
    found->Cut(wanted, wanted + wanted / 8);
  }
  if (uncoded_.empty()) return;
  for (size_t i = 0; i < scan.count; ++i) scan.slots[i] = coded_[scan.slots[i]];
  for (uint32_t list : uncoded_) scan.slots[scan.count++] = list;
}

void CoarseQuantizer::AddTerms(float weight, std::span<const Slot> lists, float* distances) const {
  if (weight == 0) return;
  for (size_t i = 0; i < lists.size(); ++i) distances[i] += weight * rank_terms_[lists[i]];
}

const float* CoarseQuantizer::Lengthened(const float* queries, size_t n, Scratch& scratch) const {
  if (rank_terms_.empty()) return queries;
  const size_t dim = codebook_->dimension();
  Grow(scratch.lengthened, n * dim);
  for (size_t q = 0; q < n; ++q) {
    codebook_->Lengthen(queries + q * dim, scratch.lengthened.data() + q * dim);
  }
  return scratch.lengthened.data();
}

VectorsView CoarseQuantizer::Stored() const {
  const MatrixView centroids = codebook_->centroids();
  if (half_.size() > 0) {
    return {half_.data(), ElementType::kFloat16, centroids.rows, centroids.cols};
  }
  return AsFloats(centroids);
}

ExactScorer& CoarseQuantizer::ScorerOf(const float* query, Scratch& scratch) const {
  const ElementType type = Stored().type;
  const std::span<const float> row(query, codebook_->dimension());
  if (!scratch.scorer) {
    scratch.scorer.emplace(metric_, type, row);
  } else {
    scratch.scorer->Reset(metric_, type, row);
  }
  return *scratch.scorer;
}

void CoarseQuantizer::Distances(const float* query, std::span<const uint32_t> which,
                                Scratch& scratch, Neighbor* distances) const {
  const VectorsView stored = Stored();
  scratch.rows.resize(which.size());
  Grow(scratch.distances, which.size());
  for (size_t i = 0; i < which.size(); ++i) scratch.rows[i] = stored.row(which[i]);
  ScorerOf(query, scratch).Score(scratch.rows.data(), which.size(), scratch.distances.data());
  AddTerms(Weight(query), which, scratch.distances.data());
  for (size_t i = 0; i < which.size(); ++i) distances[i] = {scratch.distances[i], which[i]};
}

size_t CoarseQuantizer::Compare(const float* query, size_t most, const ProbeRule::Reach* reach,
                                Scratch& scratch, QueryScan& scan, Neighbor* lists) const {
  const VectorsView stored = Stored();
  const ExactScorer& scorer = ScorerOf(query, scratch);
  LutScanQuery& s = scan.scan;
  if (s.count == stored.rows) {
    scorer.ScoreContiguous(stored.data, stored.rows, s.distances);
    for (size_t i = 0; i < s.count; ++i) s.slots[i] = static_cast<Slot>(i);
  } else {
    scratch.rows.resize(s.count);
    for (size_t i = 0; i < s.count; ++i) scratch.rows[i] = stored.row(s.slots[i]);
    scorer.Score(scratch.rows.data(), s.count, s.distances);
  }
  AddTerms(Weight(query), {s.slots, s.count}, s.distances);
  ProbeRule::Lists wanted = {most, std::nullopt};
  if (reach != nullptr) {
    wanted = ProbeRule::ToProbe(*reach, s.distances, s.count, codebook_->RankShift(query));
  }
  if (wanted.bound) {
    s.count = KeepUpTo(s.distances, s.slots, s.count, *wanted.bound);
  } else if (s.count > wanted.count) {
    BoundHint hint;
    s.count = KeepSmallest(s.distances, s.slots, s.count, wanted.count, wanted.count, &hint);
  }
  // Ties at the end go to the lower lists.
  scratch.sorted.resize(s.count);
  for (size_t i = 0; i < s.count; ++i) scratch.sorted[i] = {s.distances[i], s.slots[i]};
  if (s.count > wanted.count) {
    std::sort(scratch.sorted.begin(), scratch.sorted.end());
  } else {
    SortFirst(scratch.sorted);
  }
  std::copy_n(scratch.sorted.begin(), wanted.count, lists);
  return wanted.count;
}

void CoarseQuantizer::Nearest(const float* queries, size_t n, size_t nprobe, Scratch& scratch,
                              Neighbor* lists) const {
  Find(queries, n, nprobe, nullptr, scratch, lists, nullptr);
}

size_t CoarseQuantizer::MostToProbe(size_t nprobe) const {
  return codebook_->probe_rule().empty() ? nprobe : ProbeRule::Most(nprobe, codebook_->nlist());
}

void CoarseQuantizer::ToProbe(const float* queries, size_t n, size_t nprobe, Scratch& scratch,
                              Neighbor* lists, uint32_t* counts) const {
  const ProbeRule& rule = codebook_->probe_rule();
  if (rule.empty() || nprobe == codebook_->nlist()) {
    Nearest(queries, n, nprobe, scratch, lists);
    std::fill_n(counts, n, static_cast<uint32_t>(nprobe));
    return;
  }
  const ProbeRule::Reach reach = rule.ReachOf(nprobe, codebook_->nlist());
  Find(queries, n, reach.most, &reach, scratch, lists, counts);
}

void CoarseQuantizer::Find(const float* queries, size_t n, size_t most,
                           const ProbeRule::Reach* reach, Scratch& scratch, Neighbor* lists,
                           uint32_t* counts) const {
  const size_t nlist = codebook_->nlist();
  const size_t coded = nlist - uncoded_.size();
  const size_t wanted = Wanted(most, coded);
  const bool exact = codes_.empty() || wanted == coded;
  const size_t room = std::max(nlist + kLutScanSlack, QueryScan::Capacity(wanted));
  Grow(scratch.distances, CentroidCodes::kQueriesAtOnce * room);
  Grow(scratch.slots, CentroidCodes::kQueriesAtOnce * room);
  for (size_t begin = 0; begin < n; begin += CentroidCodes::kQueriesAtOnce) {
    const size_t count = std::min(CentroidCodes::kQueriesAtOnce, n - begin);
    const float* some = queries + begin * codebook_->dimension();
    QueryScan scans[CentroidCodes::kQueriesAtOnce];
    for (size_t q = 0; q < count; ++q) {
      scans[q].scan.distances = scratch.distances.data() + q * room;
      scans[q].scan.slots = scratch.slots.data() + q * room;
      scans[q].scan.count = exact ? nlist : 0;
    }
    if (!exact) {
      codes_.Scan(Lengthened(some, count, scratch), count, wanted, scratch.codes, scans);
    }
    for (size_t q = 0; q < count; ++q) {
      const float* const query = some + q * codebook_->dimension();
      if (!exact) CodedToCandidates(query, most, reach, &scans[q]);
      const size_t found =
          Compare(query, most, reach, scratch, scans[q], lists + (begin + q) * most);
      if (counts != nullptr) counts[begin + q] = static_cast<uint32_t>(found);
    }
  }
}

void CoarseQuantizer::AboutNearest(const float* query, size_t n, Scratch& scratch,
                                   Neighbor* lists) const {
  if (codes_.empty() || !uncoded_.empty() || n == codebook_->nlist()) {
    Nearest(query, 1, n, scratch, lists);
    return;
  }
  Grow(scratch.distances, QueryScan::Capacity(n));
  Grow(scratch.slots, QueryScan::Capacity(n));
  QueryScan scan;
  scan.scan.distances = scratch.distances.data();
  scan.scan.slots = scratch.slots.data();
  codes_.Scan(Lengthened(query, 1, scratch), 1, n, scratch.codes, &scan);
  scan.Finish();
  if (scan.scan.count < n) {  // as in Find
    Nearest(query, 1, n, scratch, lists);
    return;
  }
  for (size_t i = 0; i < n; ++i) lists[i] = {scan.scan.distances[i], scan.scan.slots[i]};
}

size_t CoarseQuantizer::memory_bytes() const {
  return half_.size() + rank_terms_.size() * sizeof(float) + codes_.memory_bytes() +
         (coded_.size() + uncoded_.size()) * sizeof(uint32_t);
}

}  // namespace tessera
