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
static_assert(kBlocksPerFetch < kScanBlocksAtOnce);  // and the tail

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

void ScanBlocks(const LutScanShape& shape, const LutScanBlocks& blocks, QueryScan* const* queries,
                size_t n, const SlotSet& deleted) {
  LutScanQuery* scans[kScanQueriesAtOnce];
  size_t begins[kScanQueriesAtOnce];
  for (size_t i = 0; i < n; ++i) {
    scans[i] = &queries[i]->scan;
    begins[i] = scans[i]->count;
  }
  LutScan(shape, blocks, scans, n);
  for (size_t i = 0; i < n; ++i) {
    if (scans[i]->count > begins[i]) queries[i]->Settle(begins[i], deleted);
  }
}

}  // namespace

size_t QueryScan::Capacity(size_t keep) {
  return CutAt(keep) + kScanBlocksAtOnce * kLutScanBlockVectors + kLutScanSlack;
}

void QueryScan::Begin() {
  hint = {};
  scan.threshold = hint.high;
  scan.count = 0;
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

void QueryScan::Cut(size_t least, size_t most) {
  if (scan.count <= most) return;
  scan.count = KeepSmallest(scan.distances, scan.slots, scan.count, least, most, &hint);
  scan.threshold = hint.high;
  if (scan.count <= most) return;
  // Many are equally far: enough of them will do.
  size_t nearer = 0;
  for (size_t i = 0; i < scan.count; ++i) nearer += scan.distances[i] < scan.threshold ? 1 : 0;
  size_t equal_wanted = least - nearer;
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
  const size_t block_bytes = shape.block_bytes();
  const size_t parts =
      std::max<size_t>((list.num_blocks + kBlocksPerFetch - 1) / kBlocksPerFetch, 1);
  PartwiseFetch fetch(shape, next, parts);
  for (size_t q = 0; q < n; q += kScanQueriesAtOnce) {
    const size_t count = std::min(kScanQueriesAtOnce, n - q);
    for (size_t part = 0; part < parts; ++part) {
      fetch.FetchPart();
      const size_t begin = part * kBlocksPerFetch;
      const LutScanBlocks blocks = {list.blocks + begin * block_bytes,
                                    std::min(kBlocksPerFetch, list.num_blocks - begin),
                                    part + 1 == parts ? list.tail : nullptr};
      ScanBlocks(shape, blocks, queries + q, count, deleted);
    }
  }
}

}  // namespace tessera
