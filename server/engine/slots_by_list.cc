#include "server/engine/slots_by_list.h"

#include <algorithm>

namespace tessera {

std::shared_ptr<const SlotsByList> SlotsByList::Make(std::span<const Slot> slots,
                                                     const SlotTable& table, size_t nlist) {
  std::vector<uint32_t> list_of(slots.size());
  table.ReadLists(slots, list_of.data());
  return Make(slots, list_of, nlist);
}

std::shared_ptr<const SlotsByList> SlotsByList::Make(std::span<const Slot> slots,
                                                     std::span<const uint32_t> list_of,
                                                     size_t nlist) {
  // A counting sort: begins[list + 2] counts, then begins[list + 1] moves from where the list
  // begins to where it ends.
  uint32_t last = 0;
  for (uint32_t list : list_of) last = std::max(last, list);
  if (last >= nlist) return nullptr;
  std::vector<uint32_t> begins(nlist + 2, 0);
  for (uint32_t list : list_of) ++begins[list + 2];
  std::vector<uint32_t> lists;
  for (size_t list = 0; list < nlist; ++list) {
    if (begins[list + 2] > 0) lists.push_back(static_cast<uint32_t>(list));
    begins[list + 2] += begins[list + 1];
  }
  std::vector<Slot> sorted(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) sorted[begins[list_of[i] + 1]++] = slots[i];
  begins.pop_back();
  return std::shared_ptr<const SlotsByList>(
      new SlotsByList(std::move(begins), std::move(lists), std::move(sorted)));
}

bool SlotsOfLists::SetSlots(std::span<const Slot> slots, const SlotTable& table, size_t nlist) {
  count_ = slots.size();
  nlist_ = nlist;
  if (list_of_.size() < count_) list_of_.resize(count_);
  table.ReadLists(slots, list_of_.data());
  uint32_t last = 0;
  for (size_t i = 0; i < count_; ++i) last = std::max(last, list_of_[i]);
  return count_ == 0 || last < nlist;
}

void SlotsOfLists::Fill(std::span<const Slot> slots, std::span<const Neighbor> lists) {
  place_.assign(nlist_, 0);
  for (size_t i = 0; i < lists.size(); ++i) place_[lists[i].slot] = static_cast<uint32_t>(i + 1);
  if (found_.size() < count_ + 1) found_.resize(count_ + 1);
  size_t count = 0;
  for (size_t i = 0; i < count_; ++i) {
    const uint32_t place = place_[list_of_[i]];
    found_[count] = {place, slots[i]};
    count += place != 0 ? 1 : 0;
  }
  // A counting sort, as above; place 0 stays empty.
  const size_t places = lists.size() + 1;
  begins_.assign(places + 2, 0);
  for (size_t i = 0; i < count; ++i) ++begins_[found_[i].place + 2];
  for (size_t place = 0; place < places; ++place) begins_[place + 2] += begins_[place + 1];
  if (slots_.size() < count) slots_.resize(count);
  for (size_t i = 0; i < count; ++i) slots_[begins_[found_[i].place + 1]++] = found_[i].slot;
}

}  // namespace tessera
