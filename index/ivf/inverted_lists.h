#ifndef TESSERA_INDEX_IVF_INVERTED_LISTS_H_
#define TESSERA_INDEX_IVF_INVERTED_LISTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/codebook/codebook.h"

namespace tessera {

class ListsSnapshot;
struct SearchTables;

// The lists from `begin` to before `end`.
struct ListRange {
  uint32_t begin = 0;
  uint32_t end = 0;
};

// The inverted lists of one codebook, in memory, packed for the scan kernel.
//
// One writer at a time: the caller serialises all calls, Snapshot() among them, and hands the
// snapshot to its readers. A snapshot never changes and keeps alive what it shows; its readers take
// no lock that the writer holds.
class InvertedLists {
 public:
  explicit InvertedLists(std::shared_ptr<const Codebook> codebook);
  ~InvertedLists();

  // Appends encoded vectors; slots[i] is the point of row i. Readers see them from the next
  // Snapshot() on. When the lists have grown by a quarter they are packed anew, in list order, so
  // that a scan stays close to one stream: by this call and the next ones, in steps of a huge page.
  // A call takes a time that goes with its rows, and that of one step.
  void Append(const EncodedVectors& vectors, const Slot* slots);

  // The lists as they are now: cheap, and cheaper the less has changed since the last one.
  std::shared_ptr<const ListsSnapshot> Snapshot();

  // Rewrites one list without the entries of `deleted` slots, which are appended to `removed`. The
  // list must exist. Walking all lists, a few at a time, reclaims what deletions leave behind.
  void Compact(uint32_t list, const SlotSet& deleted, std::vector<Slot>* removed);
  // Whether more than an eighth of the memory is room that lists have left or have not filled: a
  // packing returns it.
  bool HasSpareMemory() const;
  // Begins to pack all lists anew, whatever packing is under way.
  void StartPacking();
  bool IsPacking() const;
  // Takes a step of the packing under way, about a millisecond of work: the lists that are returned
  // are packed without the entries of `deleted` slots, which are appended to `removed`.
  ListRange PackSome(const SlotSet& deleted, std::vector<Slot>* removed);

  // Takes the entries of `slots` out of the lists `from`, in which they must be, and appends them
  // as they are encoded now. from: each list once. Bounds by code hold for older snapshots too.
  void Replace(std::span<const uint32_t> from, const EncodedVectors& vectors, const Slot* slots);
  // Goes over to a codebook that has come from the one before by Codebook::WithCentroids. Entries
  // stay as they are: those of a list with another centroid are to be replaced before Snapshot().
  void UseTables(std::shared_ptr<const SearchTables> tables);

  // No list has an entry of a slot from `end` on, and no reader asks for one: gives back what is
  // kept for them. They may come again.
  void ShrinkSlots(uint64_t end);

  size_t list_size(uint32_t list) const;
  size_t size() const;  // entries, deleted ones that are not compacted away included
  // Codes, slots, biases and tables in memory, with those that only older snapshots still hold.
  size_t memory_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_INVERTED_LISTS_H_
