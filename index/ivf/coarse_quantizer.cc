#include "index/ivf/coarse_quantizer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "index/base/check.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/ivf/query_scan.h"
#include "index/quantize/product_quantizer.h"
#include "index/simd/convert.h"
#include "index/simd/lut_scan_select.h"

namespace tessera {
namespace {

constexpr size_t kBlock = kLutScanBlockVectors;
// Below this many, comparing all centroids exactly costs about as much as finding candidates.
constexpr size_t kQuantizeMin = 512;
constexpr uint32_t kCoarseSubquantizers = 32;
constexpr size_t kBlocksAtOnce = 16;

template <class T>
void Grow(AlignedBuffer<T>& buffer, size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
}

// Centroids to compare exactly so that nearly all of the `nprobe` nearest are among them.
size_t Wanted(size_t nprobe, size_t nlist) { return std::min(nlist, nprobe + nprobe / 2 + 32); }

// Brings the nearest kSortedFirst lists to the front, in order; the order of the rest is of no use,
// and sorting them all would take as long as scanning several lists.
void NearestFirst(LutScanQuery& scan, std::vector<Neighbor>& lists) {
  size_t sorted = lists.size();
  if (lists.size() > 2 * CoarseQuantizer::kSortedFirst) {
    float threshold;
    KeepSmallest(scan.distances, scan.slots, scan.count, CoarseQuantizer::kSortedFirst,
                 CoarseQuantizer::kSortedFirst + 4, &threshold);
    // Without a branch on the data: each list goes either to the front or to where it came from.
    sorted = 0;
    for (size_t i = 0; i < lists.size(); ++i) {
      const Neighbor list = lists[i];
      lists[i] = lists[sorted];
      lists[sorted] = list;
      sorted += list.distance <= threshold ? 1 : 0;
    }
  }
  std::sort(lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(sorted));
}

}  // namespace

CoarseQuantizer::CoarseQuantizer(std::shared_ptr<const Codebook> codebook)
    : codebook_(std::move(codebook)),
      metric_(codebook_->metric() == Metric::kL2 ? Metric::kL2 : Metric::kInnerProduct) {
  const MatrixView centroids = codebook_->centroids();
  half_ = AlignedBuffer<std::byte>(centroids.rows * centroids.cols * 2);
  const VectorsView floats{reinterpret_cast<const std::byte*>(centroids.data),
                           ElementType::kFloat32, centroids.rows, centroids.cols};
  if (!ConvertVectors(floats, ElementType::kFloat16, half_.data()).ok()) half_ = {};
  if (codebook_->nlist() >= kQuantizeMin) QuantizeCentroids();
}

void CoarseQuantizer::QuantizeCentroids() {
  const MatrixView centroids = codebook_->centroids();
  const size_t n = centroids.rows, dim = centroids.cols;
  mean_.assign(dim, 0.0f);
  std::vector<double> sums(dim, 0.0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < dim; ++d) sums[d] += centroids.row(i)[d];
  }
  for (size_t d = 0; d < dim; ++d) mean_[d] = static_cast<float>(sums[d] / static_cast<double>(n));
  Matrix centered(n, dim);
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < dim; ++d) centered.row(i)[d] = centroids.row(i)[d] - mean_[d];
  }
  ProductQuantizerOptions options;
  options.subquantizers =
      static_cast<uint32_t>(std::min<size_t>(kCoarseSubquantizers, (dim + 1) / 2));
  options.iterations = 10;
  InlineExecutor executor;
  const auto quantizer = ProductQuantizer::Train(centered, options, executor, nullptr);
  TESSERA_CHECK(quantizer.ok());  // the options are ours, the centroids finite

  const LutScanShape shape{options.subquantizers, 4};
  lut_ = LutScanTables(shape, quantizer->sub_dimension(), quantizer->codewords(0));
  std::vector<uint8_t> codes(n * quantizer->code_bytes());
  quantizer->Encode(centered, codes.data());
  blocks_ = AlignedBuffer<uint8_t>((n + kBlock - 1) / kBlock * shape.block_bytes());
  std::vector<float> decoded(dim);
  for (size_t i = 0; i < n; ++i) {
    const uint8_t* code = &codes[i * quantizer->code_bytes()];
    uint8_t* block = blocks_.data() + i / kBlock * shape.block_bytes();
    if (i % kBlock == 0) LutScanClear(shape, block);
    float bias = 0;
    if (metric_ == Metric::kL2) {
      quantizer->Decode(code, decoded.data());
      for (float x : decoded) bias += x * x;
    }
    LutScanPut(shape, block, i % kBlock, code, bias, static_cast<Slot>(i));
  }
}

void CoarseQuantizer::ScanCodes(const float* queries, size_t n, size_t wanted, Scratch& scratch,
                                QueryScan* scans) const {
  const LutScanShape& shape = lut_.shape();
  const size_t dim = codebook_->dimension();
  Grow(scratch.tables, kQueriesAtOnce * shape.tables_bytes());
  Grow(scratch.entries, shape.tables_bytes());
  Grow(scratch.padded, lut_.padded_dimension());
  float* padded = scratch.padded.data();
  std::fill(padded + dim, padded + lut_.padded_dimension(), 0.0f);
  LutScanQuery kernel[kQueriesAtOnce];
  for (size_t q = 0; q < n; ++q) {
    // For inner products the mean changes nothing in the order of the centroids.
    const float* query = queries + q * dim;
    const float factor = metric_ == Metric::kL2 ? -2.0f : -1.0f;
    for (size_t d = 0; d < dim; ++d) {
      padded[d] = metric_ == Metric::kL2 ? query[d] - mean_[d] : query[d];
    }
    uint8_t* tables = scratch.tables.data() + q * shape.tables_bytes();
    scans[q].keep = wanted;
    kernel[q] = scans[q].scan;
    kernel[q].tables = tables;
    kernel[q].threshold = std::numeric_limits<float>::infinity();
    lut_.Build(padded, factor, tables, &kernel[q].scale, &kernel[q].offset, scratch.entries.data());
  }
  const size_t blocks = blocks_.size() / shape.block_bytes();
  for (size_t b = 0; b < blocks; b += kBlocksAtOnce) {
    LutScan(shape, blocks_.data() + b * shape.block_bytes(), std::min(kBlocksAtOnce, blocks - b),
            kernel, n);
    for (size_t q = 0; q < n; ++q) {
      if (kernel[q].count < QueryScan::CutAt(wanted)) continue;
      scans[q].scan = kernel[q];
      scans[q].CutIfFull();
      kernel[q] = scans[q].scan;
    }
  }
  for (size_t q = 0; q < n; ++q) {
    scans[q].scan = kernel[q];
    scans[q].Finish();
  }
}

VectorsView CoarseQuantizer::Stored() const {
  const MatrixView centroids = codebook_->centroids();
  if (half_.size() > 0) {
    return {half_.data(), ElementType::kFloat16, centroids.rows, centroids.cols};
  }
  return {reinterpret_cast<const std::byte*>(centroids.data), ElementType::kFloat32, centroids.rows,
          centroids.cols};
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
  for (size_t i = 0; i < which.size(); ++i) distances[i] = {scratch.distances[i], which[i]};
}

void CoarseQuantizer::Compare(const float* query, size_t nprobe, Scratch& scratch, QueryScan& scan,
                              Neighbor* lists) const {
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
  if (s.count > nprobe) {
    s.count = KeepSmallest(s.distances, s.slots, s.count, nprobe, nprobe, &s.threshold);
  }
  // Ties at the end go to the lower lists.
  scratch.sorted.resize(s.count);
  for (size_t i = 0; i < s.count; ++i) scratch.sorted[i] = {s.distances[i], s.slots[i]};
  if (s.count > nprobe) {
    std::sort(scratch.sorted.begin(), scratch.sorted.end());
  } else {
    NearestFirst(s, scratch.sorted);
  }
  std::copy_n(scratch.sorted.begin(), nprobe, lists);
}

void CoarseQuantizer::Nearest(const float* queries, size_t n, size_t nprobe, Scratch& scratch,
                              Neighbor* lists) const {
  const size_t nlist = codebook_->nlist();
  const size_t wanted = Wanted(nprobe, nlist);
  const bool exact = blocks_.size() == 0 || wanted == nlist;
  const size_t room = exact ? nlist + kLutScanSlack : QueryScan::Capacity(wanted);
  Grow(scratch.distances, kQueriesAtOnce * room);
  Grow(scratch.slots, kQueriesAtOnce * room);
  for (size_t begin = 0; begin < n; begin += kQueriesAtOnce) {
    const size_t count = std::min(kQueriesAtOnce, n - begin);
    const float* some = queries + begin * codebook_->dimension();
    QueryScan scans[kQueriesAtOnce];
    for (size_t q = 0; q < count; ++q) {
      scans[q].scan.distances = scratch.distances.data() + q * room;
      scans[q].scan.slots = scratch.slots.data() + q * room;
      scans[q].scan.count = exact ? nlist : 0;
    }
    if (!exact) ScanCodes(some, count, wanted, scratch, scans);
    for (size_t q = 0; q < count; ++q) {
      Compare(some + q * codebook_->dimension(), nprobe, scratch, scans[q],
              lists + (begin + q) * nprobe);
    }
  }
}

void CoarseQuantizer::AboutNearest(const float* query, size_t n, Scratch& scratch,
                                   Neighbor* lists) const {
  if (blocks_.size() == 0 || n == codebook_->nlist()) {
    Nearest(query, 1, n, scratch, lists);
    return;
  }
  Grow(scratch.distances, QueryScan::Capacity(n));
  Grow(scratch.slots, QueryScan::Capacity(n));
  QueryScan scan;
  scan.scan.distances = scratch.distances.data();
  scan.scan.slots = scratch.slots.data();
  ScanCodes(query, 1, n, scratch, &scan);
  for (size_t i = 0; i < n; ++i) lists[i] = {scan.scan.distances[i], scan.scan.slots[i]};
}

size_t CoarseQuantizer::memory_bytes() const {
  return half_.size() + mean_.size() * sizeof(float) + lut_.memory_bytes() + blocks_.size();
}

}  // namespace tessera
