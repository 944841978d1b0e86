#include "index/ivf/centroid_codes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "index/base/check.h"
#include "index/base/executor.h"
#include "index/base/limits.h"
#include "index/base/memory_units.h"
#include "index/cluster/groups.h"
#include "index/cluster/random.h"
#include "index/quantize/product_quantizer.h"
#include "index/simd/convert.h"
#include "index/simd/lut_scan_select.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

constexpr size_t kBlock = kLutScanBlockVectors;
constexpr size_t kSubquantizersMin = 32;
constexpr size_t kIterations = 10;

// Where centroids are so many times as many, a sample of them tells each query a threshold that
// about as many pass as are wanted, and so many deviations of that number more.
constexpr size_t kSampled = kScanBlocksAtOnce * kBlock;
constexpr size_t kSampleTimes = 8;
constexpr double kSampleDeviations = 3;

// From so many centroids on, groups are larger, and worth their choice if half of them are needed.
constexpr size_t kManyCentroids = 16'384;
constexpr size_t kGroupSize = 64;
constexpr size_t kGroupSizeOfMany = 128;
constexpr double kNeededMost = 0.375;
constexpr double kNeededMostOfMany = 0.5;
// How many groups it takes to find a share of the centroids wanted is measured when the groups are
// made, by sample queries, for kWantedLeast centroids and each of its doubles. Vectors without
// structure need most groups: then all are scanned.
constexpr size_t kWantedLeast = 32;
constexpr size_t kSamples = 64;
constexpr double kShareFound = 0.99;
// A query may be unlike the samples: it goes on to further groups for as long as the last fifth of
// those scanned, or more, held one in kWorthwhile of what it wants.
constexpr size_t kLastFifth = 5;
constexpr size_t kWorthwhile = 25;

// Writes the code of a row, of which `less_mean` is given, into a lane.
class BlockWriter {
 public:
  BlockWriter(Metric metric, const ProductQuantizer& quantizer, const LutScanShape& shape)
      : metric_(metric),
        quantizer_(quantizer),
        shape_(shape),
        code_(quantizer.code_bytes()),
        decoded_(quantizer.dimension()) {}

  void Put(std::span<const float> less_mean, float addend, Slot id, uint8_t* block, size_t lane) {
    quantizer_.Encode({less_mean.data(), 1, less_mean.size()}, code_.data());
    float bias = addend;
    if (metric_ == Metric::kL2) {
      quantizer_.Decode(code_.data(), decoded_.data());
      for (float x : decoded_) bias += x * x;
    }
    LutScanPut(shape_, block, lane, code_.data(), bias, id);
  }

 private:
  Metric metric_;
  const ProductQuantizer& quantizer_;
  LutScanShape shape_;
  std::vector<uint8_t> code_;
  std::vector<float> decoded_;
};

Matrix LessMean(MatrixView rows, std::span<const float> mean) {
  Matrix centered(rows.rows, rows.cols);
  for (size_t i = 0; i < rows.rows; ++i) {
    for (size_t d = 0; d < rows.cols; ++d) centered.row(i)[d] = rows.row(i)[d] - mean[d];
  }
  return centered;
}

std::vector<float> MeanOf(MatrixView rows) {
  std::vector<double> sums(rows.cols, 0.0);
  for (size_t i = 0; i < rows.rows; ++i) {
    for (size_t d = 0; d < rows.cols; ++d) sums[d] += rows.row(i)[d];
  }
  std::vector<float> mean(rows.cols);
  for (size_t d = 0; d < rows.cols; ++d) {
    mean[d] = static_cast<float>(sums[d] / static_cast<double>(rows.rows));
  }
  return mean;
}

// Queries like those of the vectors that lie around the centroids: each is as far from a centroid
// as its next neighbour of the same group is, in the direction from a centroid to another.
Matrix SampleQueries(MatrixView centroids, const RowGroups& groups) {
  Random random(2);
  Matrix queries(kSamples, centroids.cols);
  for (size_t i = 0; i < kSamples; ++i) {
    const auto any = [&] { return centroids.row(random.Below(centroids.rows)); };
    std::span<const uint32_t> group;
    while (group.size() < 2) group = groups.members.of(random.Below(groups.members.clusters()));
    const uint32_t id = group[random.Below(group.size())];
    const std::span<const float> centroid = centroids.row(id), from = any(), to = any();
    const auto squared_distance = [&](std::span<const float> a, std::span<const float> b) {
      double sum = 0;
      for (size_t d = 0; d < a.size(); ++d) sum += double{a[d] - b[d]} * double{a[d] - b[d]};
      return sum;
    };
    double next = std::numeric_limits<double>::infinity();
    for (uint32_t other : group) {
      if (other != id) next = std::min(next, squared_distance(centroid, centroids.row(other)));
    }
    const double length = std::sqrt(squared_distance(from, to));
    const auto scale = static_cast<float>(length > 0 ? std::sqrt(next) / length : 0);
    for (size_t d = 0; d < centroids.cols; ++d) {
      queries.row(i)[d] = centroid[d] + scale * (to[d] - from[d]);
    }
  }
  return queries;
}

// Of the members of each group; none of none.
std::vector<float> MeansOf(std::span<const float> values, const RowGroups& groups) {
  std::vector<float> means;
  for (size_t g = 0; g < groups.members.clusters() && !values.empty(); ++g) {
    const std::span<const uint32_t> ids = groups.members.of(g);
    double sum = 0;
    for (uint32_t id : ids) sum += values[id];
    means.push_back(static_cast<float>(sum / static_cast<double>(std::max<size_t>(ids.size(), 1))));
  }
  return means;
}

size_t BlocksFor(size_t rows) { return (rows + kBlock - 1) / kBlock; }

}  // namespace

CentroidCodes::CentroidCodes(MatrixView centroids, Metric metric, size_t components,
                             std::span<const float> addends, size_t grouped_from)
    : metric_(metric), dim_(centroids.cols), mean_(MeanOf(centroids)) {
  const size_t n = centroids.rows;
  const Matrix centered = LessMean(centroids, mean_);
  ProductQuantizerOptions options;
  options.subquantizers = static_cast<uint32_t>(std::clamp<size_t>(
      (dim_ + components - 1) / components, std::min<size_t>(kSubquantizersMin, (dim_ + 1) / 2),
      limits::kSubquantizersMax));
  options.iterations = kIterations;
  InlineExecutor executor;
  const auto quantizer = ProductQuantizer::Train(centered, options, executor, nullptr);
  TESSERA_CHECK(quantizer.ok());  // the options are ours, the centroids finite
  const LutScanShape shape{options.subquantizers, 4};
  lut_ = LutScanTables(shape, quantizer->sub_dimension(), quantizer->codewords(0));
  BlockWriter writer(metric, *quantizer, shape);

  const auto fill = [&](const Matrix& rows, std::span<const float> of_rows,
                        std::span<const uint32_t> ids, uint8_t* block) {
    for (size_t i = 0; i < ids.size(); ++i) {
      uint8_t* at = block + i / kBlock * shape.block_bytes();
      if (i % kBlock == 0) LutScanClear(shape, at);
      const float addend = of_rows.empty() ? 0 : of_rows[ids[i]];
      writer.Put(rows.row(ids[i]), addend, ids[i], at, i % kBlock);
    }
  };
  std::vector<uint32_t> all(n);
  std::iota(all.begin(), all.end(), 0);
  blocks_ = AlignedBuffer<uint8_t>(BlocksFor(n) * shape.block_bytes());
  fill(centered, addends, all, blocks_.data());
  if (n >= kSampleTimes * kSampled) {
    std::vector<uint32_t> sample(kSampled);
    for (size_t i = 0; i < kSampled; ++i) sample[i] = static_cast<uint32_t>(i * n / kSampled);
    sample_blocks_ = AlignedBuffer<uint8_t>(BlocksFor(kSampled) * shape.block_bytes());
    CopyTo(sample, sample_blocks_.data());
  }
  if (n < grouped_from) return;
  const size_t group_size = n < kManyCentroids ? kGroupSize : kGroupSizeOfMany;
  const RowGroups groups = FormGroups(centered, n / group_size, executor);
  const size_t count = groups.heads.rows();
  group_begins_.push_back(0);
  for (size_t g = 0; g < count; ++g) {
    const size_t blocks = BlocksFor(groups.members.of(g).size());
    group_begins_.push_back(group_begins_.back() + static_cast<uint32_t>(blocks));
  }
  group_blocks_ = AlignedBuffer<uint8_t>(group_begins_.back() * shape.block_bytes());
  for (size_t g = 0; g < count; ++g) {
    CopyTo(groups.members.of(g), group_blocks_.data() + group_begins_[g] * shape.block_bytes());
  }
  head_blocks_ = AlignedBuffer<uint8_t>(BlocksFor(count) * shape.block_bytes());
  fill(groups.heads, MeansOf(addends, groups), std::span<const uint32_t>(all).first(count),
       head_blocks_.data());
  Matrix queries = SampleQueries(centroids, groups);
  if (!addends.empty()) NormalizeRows(queries.data(), queries.rows(), queries.cols());
  MeasureGroups(queries, groups);
}

void CentroidCodes::CopyTo(std::span<const uint32_t> ids, uint8_t* blocks) const {
  const LutScanShape& shape = lut_.shape();
  std::vector<uint8_t> code(shape.code_bytes());
  for (size_t i = 0; i < ids.size(); ++i) {
    const uint8_t* const from = blocks_.data() + ids[i] / kBlock * shape.block_bytes();
    uint8_t* const to = blocks + i / kBlock * shape.block_bytes();
    if (i % kBlock == 0) LutScanClear(shape, to);
    LutScanGet(shape, from, ids[i] % kBlock, code.data());
    LutScanPut(shape, to, i % kBlock, code.data(), LutScanBias(shape, from, ids[i] % kBlock),
               ids[i]);
  }
}

void CentroidCodes::MeasureGroups(MatrixView queries, const RowGroups& groups) {
  const size_t count = groups.heads.rows(), centroids = groups.members.first(count);
  const double most = centroids < kManyCentroids ? kNeededMost : kNeededMostOfMany;
  std::vector<uint32_t> group_of(centroids);
  for (uint32_t g = 0; g < count; ++g) {
    for (uint32_t id : groups.members.of(g)) group_of[id] = g;
  }
  Scratch scratch;
  GrowHeads(scratch);
  const size_t room = QueryScan::Capacity(centroids);
  AlignedBuffer<float> distances(room);
  AlignedBuffer<Slot> ids(room);
  std::vector<uint32_t> rank(count);
  for (size_t wanted = kWantedLeast; wanted < centroids; wanted *= 2) {
    std::vector<size_t> found(count);  // by the rank of the group
    size_t total = 0;
    for (size_t q = 0; q < kSamples; ++q) {
      QueryScan scan;
      scan.scan.distances = distances.data();
      scan.scan.slots = ids.data();
      Prepare(queries.row(q).data(), 1, wanted, scratch, &scan);
      ScanBlocks(blocks_.data(), BlocksFor(centroids), &scan, 1);
      scan.Finish();
      const LutScanQuery heads = ScanHeads(scan.scan, scratch);
      std::vector<Neighbor> order;
      for (size_t i = 0; i < count; ++i) order.push_back({heads.distances[i], heads.slots[i]});
      std::sort(order.begin(), order.end());
      for (uint32_t i = 0; i < count; ++i) rank[order[i].slot] = i;
      for (size_t i = 0; i < scan.scan.count; ++i) ++found[rank[group_of[ids[i]]]];
      total += scan.scan.count;
    }
    size_t needed = 0, covered = 0;
    while (static_cast<double>(covered) < kShareFound * static_cast<double>(total)) {
      covered += found[needed++];
    }
    if (static_cast<double>(needed) > most * static_cast<double>(count)) return;
    groups_needed_.push_back(static_cast<uint32_t>(needed));
  }
}

void CentroidCodes::GrowHeads(Scratch& scratch) const {
  const size_t room = BlocksFor(group_begins_.size()) * kBlock + kLutScanSlack;
  Grow(scratch.head_distances, room);
  Grow(scratch.heads, room);
}

LutScanQuery CentroidCodes::ScanHeads(const LutScanQuery& query, Scratch& scratch) const {
  LutScanQuery heads = query;
  heads.distances = scratch.head_distances.data();
  heads.slots = scratch.heads.data();
  heads.threshold = std::numeric_limits<float>::infinity();
  heads.count = 0;
  const size_t blocks = head_blocks_.size() / lut_.shape().block_bytes();
  LutScan(lut_.shape(), {head_blocks_.data(), blocks}, &heads);
  return heads;
}

size_t CentroidCodes::GroupsFor(size_t wanted) const {
  size_t level = 0;
  while (level < groups_needed_.size() && (kWantedLeast << level) < wanted) ++level;
  return level < groups_needed_.size() ? groups_needed_[level] : 0;
}

void CentroidCodes::Prepare(const float* queries, size_t n, size_t wanted, Scratch& scratch,
                            QueryScan* scans) const {
  const LutScanShape& shape = lut_.shape();
  Grow(scratch.tables, kQueriesAtOnce * shape.tables_bytes());
  Grow(scratch.entries, shape.tables_bytes());
  Grow(scratch.padded, lut_.padded_dimension());
  float* padded = scratch.padded.data();
  std::fill(padded + dim_, padded + lut_.padded_dimension(), 0.0f);
  for (size_t q = 0; q < n; ++q) {
    // For inner products the mean changes nothing in the order of the centroids.
    const float* query = queries + q * dim_;
    const float factor = metric_ == Metric::kL2 ? -2.0f : -1.0f;
    for (size_t d = 0; d < dim_; ++d) {
      padded[d] = metric_ == Metric::kL2 ? query[d] - mean_[d] : query[d];
    }
    uint8_t* tables = scratch.tables.data() + q * shape.tables_bytes();
    LutScanQuery& scan = scans[q].scan;
    scans[q].keep = wanted;
    scan.tables = tables;
    scans[q].Begin();
    lut_.Build(padded, factor, tables, &scan.scale, &scan.offset, scratch.entries.data());
    if (metric_ == Metric::kL2) scan.offset += FloatDotProduct(padded, padded, dim_);
  }
}

size_t CentroidCodes::ScanBlocks(const uint8_t* blocks, size_t count, QueryScan* scans,
                                 size_t n) const {
  const LutScanShape& shape = lut_.shape();
  LutScanQuery* queries[kQueriesAtOnce];
  for (size_t q = 0; q < n; ++q) queries[q] = &scans[q].scan;
  size_t found = 0;
  for (size_t b = 0; b < count; b += kScanBlocksAtOnce) {
    for (size_t q = 0; q < n; ++q) found -= scans[q].scan.count;
    const uint8_t* const first = blocks + b * shape.block_bytes();
    LutScan(shape, {first, std::min(kScanBlocksAtOnce, count - b)}, queries, n);
    for (size_t q = 0; q < n; ++q) {
      found += scans[q].scan.count;
      scans[q].CutIfFull();
    }
  }
  return found;
}

void CentroidCodes::SettleOnSample(QueryScan* scans, size_t n) const {
  const LutScanShape& shape = lut_.shape();
  LutScanQuery* queries[kQueriesAtOnce];
  for (size_t q = 0; q < n; ++q) queries[q] = &scans[q].scan;
  LutScan(shape, {sample_blocks_.data(), sample_blocks_.size() / shape.block_bytes()}, queries, n);
  const double share =
      static_cast<double>(sample_blocks_.size()) / static_cast<double>(blocks_.size());
  for (size_t q = 0; q < n; ++q) {
    const double wanted = share * static_cast<double>(scans[q].keep);
    const auto rank = static_cast<size_t>(wanted + kSampleDeviations * std::sqrt(wanted) + 1);
    scans[q].Cut(rank, rank + rank / 4);
    scans[q].scan.count = 0;
  }
}

void CentroidCodes::ScanAll(QueryScan* scans, size_t n) const {
  const size_t blocks = blocks_.size() / lut_.shape().block_bytes();
  if (sample_blocks_.size() > 0) SettleOnSample(scans, n);
  ScanBlocks(blocks_.data(), blocks, scans, n);
  for (size_t q = 0; q < n; ++q) {
    if (scans[q].scan.count >= scans[q].keep) continue;
    scans[q].Begin();
    ScanBlocks(blocks_.data(), blocks, &scans[q], 1);
  }
}

std::span<const Slot> CentroidCodes::NextGroups(const LutScanQuery& query, size_t wanted,
                                                float* nearer, Scratch& scratch) const {
  LutScanQuery heads = ScanHeads(query, scratch);
  float farthest = std::numeric_limits<float>::infinity();
  const size_t wanted_max = wanted + wanted / 8;
  if (wanted_max < heads.count) {
    BoundHint hint;
    heads.count =
        KeepSmallest(heads.distances, heads.slots, heads.count, wanted, wanted_max, &hint);
    farthest = hint.high;
  }
  size_t next = 0;
  for (size_t i = 0; i < heads.count; ++i) {
    heads.slots[next] = heads.slots[i];
    next += heads.distances[i] > *nearer ? 1 : 0;
  }
  *nearer = farthest;
  return {heads.slots, next};
}

void CentroidCodes::FetchGroup(size_t group) const {
  const size_t block_bytes = lut_.shape().block_bytes();
  const uint8_t* end = group_blocks_.data() + group_begins_[group + 1] * block_bytes;
  for (const uint8_t* at = group_blocks_.data() + group_begins_[group] * block_bytes; at < end;
       at += kCacheLineBytes) {
    __builtin_prefetch(at);
  }
}

void CentroidCodes::ScanGroups(size_t needed, Scratch& scratch, QueryScan* scan) const {
  GrowHeads(scratch);
  const size_t block_bytes = lut_.shape().block_bytes();
  float nearer = -std::numeric_limits<float>::infinity();
  const size_t first = needed - needed / kLastFifth;
  for (size_t wanted = first; nearer < std::numeric_limits<float>::infinity();) {
    const std::span<const Slot> groups = NextGroups(scan->scan, wanted, &nearer, scratch);
    size_t found = 0;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (i + 1 < groups.size()) FetchGroup(groups[i + 1]);
      const size_t begin = group_begins_[groups[i]], end = group_begins_[groups[i] + 1];
      found += ScanBlocks(group_blocks_.data() + begin * block_bytes, end - begin, scan, 1);
    }
    if (wanted > first && found < scan->keep / kWorthwhile + 1) return;
    scan->Finish();  // so that what is found next is nearer than those wanted so far
    wanted = wanted == first ? needed + 1 : wanted + wanted / 2;
  }
}

void CentroidCodes::Scan(const float* queries, size_t n, size_t wanted, Scratch& scratch,
                         QueryScan* scans) const {
  Prepare(queries, n, wanted, scratch, scans);
  const size_t groups = GroupsFor(wanted);
  if (groups == 0) {
    ScanAll(scans, n);
  } else {
    for (size_t q = 0; q < n; ++q) ScanGroups(groups, scratch, &scans[q]);
  }
}

size_t CentroidCodes::memory_bytes() const {
  return mean_.size() * sizeof(float) + lut_.memory_bytes() + blocks_.size() +
         sample_blocks_.size() + group_blocks_.size() + head_blocks_.size() +
         (group_begins_.size() + groups_needed_.size()) * sizeof(uint32_t);
}

}  // namespace tessera
