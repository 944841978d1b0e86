#include "index/ivf/range_scan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "index/base/buffer.h"
#include "index/base/status_macros.h"
#include "index/simd/lut_scan.h"

namespace tessera {
namespace {

constexpr size_t kBlocksAtOnce = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
// A table entry is rounded to the nearest step: half of one, and some for the division.
constexpr double kStepsPerTable = 0.505;

// Collects the candidates of one list after the other.
class ListScan {
 public:
  ListScan(const ListsSnapshot& lists, const CodeBounds& bounds, const SlotSet& deleted)
      : lists_(lists),
        bounds_(bounds),
        deleted_(deleted),
        shape_(lists.tables().shape),
        tables_(shape_.tables_bytes()),
        distances_(kBlocksAtOnce * kLutScanBlockVectors + kLutScanSlack),
        slots_(distances_.size()) {
    AlignedBuffer<float> scratch(shape_.tables_bytes());
    const float factor = lists.codebook().metric() == Metric::kL2 ? -2.0f : -1.0f;
    lists.tables().lut.Build(bounds.table_query(), factor, tables_.data(), &scale_, &constant_,
                             scratch.data());
    slack_ = kStepsPerTable * scale_ * static_cast<double>(shape_.tables());
  }

  const std::vector<RangeCandidate>& Scan(size_t index, const CodeBounds::List& list,
                                          float farthest) {
    candidates_.clear();
    const InvertedList& l = lists_.list(index);
    if (list.usable) {
      LutScanQuery query;
      query.tables = tables_.data();
      query.scale = scale_;
      query.offset = constant_ + list.distance;
      query.threshold = bounds_.EstimateMax(list, slack_, farthest, l.error_max);
      query.distances = distances_.data();
      query.slots = slots_.data();
      for (size_t b = 0; b < l.num_blocks; b += kBlocksAtOnce) {
        ScanBlocks(l.blocks + b * shape_.block_bytes(),
                   std::min<size_t>(kBlocksAtOnce, l.num_blocks - b), list, farthest, query);
      }
      if (l.tail != nullptr) ScanBlocks(l.tail, 1, list, farthest, query);
      return candidates_;
    }
    for (size_t b = 0; b < l.num_blocks; ++b) TakeAll(l.blocks + b * shape_.block_bytes());
    if (l.tail != nullptr) TakeAll(l.tail);
    return candidates_;
  }

 private:
  void ScanBlocks(const uint8_t* blocks, size_t count, const CodeBounds::List& list, float farthest,
                  LutScanQuery query) {
    LutScan(shape_, {blocks, count}, &query);
    for (size_t i = 0; i < query.count; ++i) {
      if (deleted_.Contains(slots_[i])) continue;
      const DistanceBounds bounds =
          bounds_.Around(list, distances_[i], slack_, lists_.errors().Get(slots_[i]));
      if (bounds.lower <= farthest) candidates_.push_back({slots_[i], bounds});
    }
  }

  void TakeAll(const uint8_t* block) {
    const Slot* slots = LutScanSlots(shape_, block);
    for (size_t lane = 0; lane < kLutScanBlockVectors; ++lane) {
      if (slots[lane] == kInvalidSlot || deleted_.Contains(slots[lane])) continue;
      candidates_.push_back({slots[lane], {-kInfinity, kInfinity}});
    }
  }

  const ListsSnapshot& lists_;
  const CodeBounds& bounds_;
  const SlotSet& deleted_;
  const LutScanShape& shape_;
  AlignedBuffer<uint8_t> tables_;
  AlignedBuffer<float> distances_;
  AlignedBuffer<Slot> slots_;
  float scale_ = 1;
  float constant_ = 0;
  double slack_ = 0;
  std::vector<RangeCandidate> candidates_;
};

}  // namespace

absl::Status ScanRange(const ListsSnapshot& lists, const CodeBounds& bounds, float farthest,
                       const SlotSet& deleted, const RangeVisitor& visitor, IvfSearchStats* stats) {
  std::vector<CodeBounds::List> seen(lists.nlist());
  for (size_t i = 0; i < seen.size(); ++i) seen[i] = bounds.Of(i);
  std::vector<uint32_t> order(seen.size());
  std::iota(order.begin(), order.end(), 0);
  // By where their nearest vector can be; among the many that may hold the query itself, by their
  // centroid.
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(seen[a].lower, seen[a].distance) < std::pair(seen[b].lower, seen[b].distance);
  });
  ListScan scan(lists, bounds, deleted);
  for (uint32_t i : order) {
    if (seen[i].lower > farthest) break;
    const std::vector<RangeCandidate>& candidates = scan.Scan(i, seen[i], farthest);
    ++stats->lists_scanned;
    stats->codes_scanned += lists.list(i).size;
    if (!candidates.empty()) RETURN_IF_ERROR(visitor(candidates, &farthest));
  }
  return absl::OkStatus();
}

}  // namespace tessera
