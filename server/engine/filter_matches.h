#ifndef TESSERA_SERVER_ENGINE_FILTER_MATCHES_H_
#define TESSERA_SERVER_ENGINE_FILTER_MATCHES_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <string>
#include <utility>
#include <vector>

#include "index/base/check.h"
#include "index/base/entry_filter.h"
#include "index/base/slot_mask.h"
#include "server/engine/slots_by_list.h"
#include "server/filter/dense_mask.h"
#include "server/filter/made_once.h"
#include "server/filter/payload_indexes.h"
#include "server/filter/slot_parts.h"

namespace tessera {

// The points of a view that match a filter, and what searches need to know of them. Thread-safe
// once it is shared, and then changes only by what is made when it is needed.
class FilterMatches {
 public:
  explicit FilterMatches(Roaring slots)
      : bitmap_(std::make_shared<const Roaring>(std::move(slots))),
        count_(bitmap_->cardinality()) {}
  // `parts` are of these indexes and have no slot in common.
  FilterMatches(SlotParts parts, std::shared_ptr<const PayloadIndexes> indexes)
      : indexes_(std::move(indexes)), parts_(std::move(parts)), count_(parts_.size()) {}
  // About `count` slots that `codes` tell, and at most `count_max`. There is no list of them.
  FilterMatches(uint64_t count, uint64_t count_max, std::shared_ptr<const EntryFilter> codes)
      : codes(std::move(codes)), count_(count), count_max_(count_max), is_estimate_(true) {}

  uint64_t count() const { return count_; }
  // Whether count() is an estimate: then only `codes` tell which they are.
  bool is_estimate() const { return is_estimate_; }
  uint64_t count_max() const { return count_max_; }
  const Roaring& slots() const {
    TESSERA_CHECK(!is_estimate_);
    if (bitmap_ != nullptr) return *bitmap_;
    return *union_.Get([this] { return std::make_shared<const Roaring>(parts_.Union()); });
  }
  // In no order.
  void List(std::vector<Slot>* slots) const {
    TESSERA_CHECK(!is_estimate_);
    if (bitmap_ == nullptr) return parts_.List(slots);
    slots->resize(count_);
    bitmap_->toUint32Array(slots->data());
  }
  std::vector<Slot> List() const {
    std::vector<Slot> slots;
    List(&slots);
    return slots;
  }
  void InsertInto(SlotMask* mask) const {
    TESSERA_CHECK(!is_estimate_);
    if (bitmap_ == nullptr) return parts_.InsertInto(mask);
    DenseMaskWriter(mask).Insert(*bitmap_);
  }

  // How they were found.
  uint64_t payloads_read = 0;
  std::vector<std::string> unindexed;

  // If set, tells them by the codes of entries, of the same indexes: for what is scanned or
  // gathered.
  std::shared_ptr<const EntryFilter> codes;

  // What costs more than it saves one search is made from the second on.
  MadeOnce<SlotMask> mask;
  MadeOnce<SlotsByList> by_list;
  mutable std::atomic<uint64_t> searches{0};  // that have used it

 private:
  // Either a bitmap, or parts of the indexes, of which a bitmap is made for who asks for one.
  const std::shared_ptr<const Roaring> bitmap_;
  const std::shared_ptr<const PayloadIndexes> indexes_;
  const SlotParts parts_;
  const uint64_t count_;
  const uint64_t count_max_ = count_;
  const bool is_estimate_ = false;
  MadeOnce<Roaring> union_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_FILTER_MATCHES_H_
