#include "index/ivf/query_scan.h"

#include <algorithm>

#include "index/base/memory_units.h"
#include "index/base/prefetch.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/lut_scan_select.h"

namespace tessera {
namespace {

// The hardware streams the rest of a long list.
constexpr size_t kPrefetchBytes = 64 << 10;
// Blocks scanned between two parts of what is fetched meanwhile. Memory brings lines about as fast
// as they are scanned: fetched in one go, they would keep the scan waiting, and memory would then
// wait for the scan.
constexpr size_t kBlocksPerFetch = 4;
static_assert(kBlocksPerFetch <= kScanBlocksAtOnce);

size_t BytesToFetch(const LutScanShape& shape, const InvertedList& list) {
  return std::min(list.num_blocks * shape.block_bytes(), kPrefetchBytes);
}

// Always inlined, as PrefetchFar.
[[gnu::always_inline]] inline void FetchLines(const uint8_t* begin, const uint8_t* end) {
  for (const uint8_t* at = begin; at < end; at += kCacheLineBytes) PrefetchFar(at);
}

// Fetches the blocks of a list in so many parts.
class PartwiseFetch {
 public:
  PartwiseFetch(const LutScanShape& shape, const InvertedList* list, size_t parts) {
    if (list == nullptr) return;
    const size_t bytes = BytesToFetch(shape, *list);
    at_ = list->blocks;
    end_ = list->blocks + bytes;
    part_bytes_ = (bytes / kCacheLineBytes + parts - 1) / parts * kCacheLineBytes;
  }
  [[gnu::always_inline]] void FetchPart() {
    const uint8_t* const end = at_ + std::min<size_t>(part_bytes_, end_ - at_);
    FetchLines(at_, end);
    at_ = end;
  }

 private:
  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
  size_t part_bytes_ = 0;
};

void ScanBlocks(const LutScanShape& shape, const uint8_t* blocks, size_t num_blocks,
                QueryScan* const* queries, size_t n, const SlotSet& deleted, PartwiseFetch* fetch) {
  LutScanQuery* scans[kScanQueriesAtOnce];
  size_t begins[kScanQueriesAtOnce];
  for (size_t b = 0; b < num_blocks; b += kBlocksPerFetch) {
    fetch->FetchPart();
    const size_t count = std::min(kBlocksPerFetch, num_blocks - b);
    for (size_t i = 0; i < n; ++i) {
      scans[i] = &queries[i]->scan;
      begins[i] = scans[i]->count;
    }
    LutScan(shape, blocks + b * shape.block_bytes(), count, scans, n);
    for (size_t i = 0; i < n; ++i) {
      if (scans[i]->count > begins[i]) queries[i]->Settle(begins[i], deleted);
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

void PrefetchPages(const LutScanShape& shape, const InvertedList& list) {
  const size_t bytes = BytesToFetch(shape, list);
  for (size_t at = 0; at < bytes; at += kPageBytes) __builtin_prefetch(list.blocks + at);
  if (bytes > 0) __builtin_prefetch(list.blocks + bytes - 1);
  if (list.tail != nullptr) FetchLines(list.tail, list.tail + shape.block_bytes());
}

void PrefetchBlocks(const LutScanShape& shape, const InvertedList& list) {
  FetchLines(list.blocks, list.blocks + BytesToFetch(shape, list));
}

void ScanList(const LutScanShape& shape, const InvertedList& list, const InvertedList* next,
              QueryScan* const* queries, size_t n, const SlotSet& deleted) {
  const size_t parts = (list.num_blocks + kBlocksPerFetch - 1) / kBlocksPerFetch;
  PartwiseFetch fetch(shape, next, std::max<size_t>(parts, 1));
  if (parts == 0) fetch.FetchPart();
  for (size_t q = 0; q < n; q += kScanQueriesAtOnce) {
    const size_t count = std::min(kScanQueriesAtOnce, n - q);
    ScanBlocks(shape, list.blocks, list.num_blocks, queries + q, count, deleted, &fetch);
    if (list.tail != nullptr) {
      ScanBlocks(shape, list.tail, 1, queries + q, count, deleted, &fetch);
    }
  }
}

}  // namespace tessera
