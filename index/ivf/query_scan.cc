#include "index/ivf/query_scan.h"

#include <algorithm>

#include "index/base/memory_units.h"
#include "index/base/prefetch.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/lut_scan_select.h"

namespace tessera {
namespace {

void ScanBlocks(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                QueryScan* const* queries, size_t n, const SlotSet& deleted) {
  LutScanQuery scans[kScanQueriesAtOnce];
  size_t begins[kScanQueriesAtOnce];
  for (size_t b = 0; b < num_blocks; b += kScanBlocksAtOnce) {
    const size_t count = std::min(kScanBlocksAtOnce, num_blocks - b);
    for (size_t i = 0; i < n; ++i) {
      scans[i] = queries[i]->scan;
      begins[i] = scans[i].count;
    }
    LutScan(shape, blocks + b * shape.block_bytes(), count, scans, n);
    for (size_t i = 0; i < n; ++i) {
      if (scans[i].count == begins[i]) continue;
      queries[i]->scan.count = scans[i].count;
      queries[i]->Settle(begins[i], deleted);
    }
  }
}

}  // namespace

size_t QueryScan::Capacity(size_t keep) {
  return CutAt(keep) + kScanBlocksAtOnce * kLutScanBlockVectors + kLutScanSlack;
}

void QueryScan::Settle(size_t begin, const SlotSet& deleted) {
  if (deleted.size() > 0) {
    size_t kept = begin;
    for (size_t i = begin; i < scan.count; ++i) {
      if (deleted.Contains(scan.slots[i])) continue;
      scan.slots[kept] = scan.slots[i];
      scan.distances[kept++] = scan.distances[i];
    }
    scan.count = kept;
  }
  CutIfFull();
}

void QueryScan::Finish() {
  if (scan.count > keep) Cut(keep);
}

void QueryScan::Cut(size_t keep_max) {
  scan.count =
      KeepSmallest(scan.distances, scan.slots, scan.count, keep, keep_max, &scan.threshold);
  if (scan.count <= keep_max) return;
  // Many are equally far: enough of them will do.
  size_t nearer = 0;
  for (size_t i = 0; i < scan.count; ++i) nearer += scan.distances[i] < scan.threshold ? 1 : 0;
  size_t equal_wanted = keep - nearer;
  size_t kept = 0;
  for (size_t i = 0; i < scan.count; ++i) {
    if (scan.distances[i] >= scan.threshold && equal_wanted-- == 0) {
      ++equal_wanted;
      continue;
    }
    scan.slots[kept] = scan.slots[i];
    scan.distances[kept++] = scan.distances[i];
  }
  scan.count = kept;
}

// Not inline: GCC drops calls of a function of which it sees that it does nothing but prefetch.
void PrefetchDescriptor(const ListsSnapshot& lists, size_t list) {
  __builtin_prefetch(&lists.list(list));
}

void PrefetchFirstLine(const InvertedList& list) { __builtin_prefetch(list.blocks); }

void PrefetchBlocks(const LutScanShape& shape, const InvertedList& list) {
  constexpr size_t kPrefetchBytes = 64 << 10;  // the hardware streams the rest of a long list
  const size_t bytes = std::min(list.num_blocks * shape.block_bytes(), kPrefetchBytes);
  for (size_t at = 0; at < bytes; at += kCacheLineBytes) PrefetchFar(list.blocks + at);
  if (list.tail == nullptr) return;
  for (size_t at = 0; at < shape.block_bytes(); at += kCacheLineBytes) PrefetchFar(list.tail + at);
}

void ScanList(const LutScanShape& shape, const InvertedList& list, QueryScan* const* queries,
              size_t n, const SlotSet& deleted) {
  for (size_t q = 0; q < n; q += kScanQueriesAtOnce) {
    const size_t count = std::min(kScanQueriesAtOnce, n - q);
    ScanBlocks(shape, list.blocks, list.num_blocks, queries + q, count, deleted);
    if (list.tail != nullptr) ScanBlocks(shape, list.tail, 1, queries + q, count, deleted);
  }
}

}  // namespace tessera
