#include "server/engine/slots_by_list.h"

#include <algorithm>

namespace tessera {

std::shared_ptr<const SlotsByList> SlotsByList::Make(std::span<const Slot> slots,
                                                     const SlotTable& table, size_t nlist) {
  // A counting sort: begins[list + 2] counts, then begins[list + 1] moves from where the list
  // begins to where it ends.
  std::vector<uint32_t> list_of(slots.size());
  uint32_t last = 0;
  // Nothing else in this loop, so that the reads, each of a line of its own, overlap.
  for (size_t i = 0; i < slots.size(); ++i) {
    list_of[i] = table.list(slots[i]);
    last = std::max(last, list_of[i]);
  }
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

}  // namespace tessera
