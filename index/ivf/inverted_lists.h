#ifndef TESSERA_INDEX_IVF_INVERTED_LISTS_H_
#define TESSERA_INDEX_IVF_INVERTED_LISTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/ivf/codebook.h"

namespace tessera {

class ListsSnapshot;
struct SearchTables;

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
  // Snapshot() on. When the lists have grown by a quarter they are packed anew, in list order:
  // appending costs a constant number of copies a vector, and a scan stays close to one stream.
  void Append(const EncodedVectors& vectors, const Slot* slots);

  // The lists as they are now: cheap, and cheaper the less has changed since the last one.
  std::shared_ptr<const ListsSnapshot> Snapshot();

  // Rewrites one list without the entries of `deleted` slots, which are appended to `removed`. The
  // list must exist. Walking all lists, a few at a time, reclaims what deletions leave behind.
  void Compact(uint32_t list, const SlotSet& deleted, std::vector<Slot>* removed);
  // Whether more than an eighth of the memory is room that lists have left or have not filled:
  // CompactAll returns it.
  bool HasSpareMemory() const;
  // Packs all lists anew, without the entries of `deleted` slots, which are appended to `removed`.
  void CompactAll(const SlotSet& deleted, std::vector<Slot>* removed);

  // Takes the entries of `slots` out of the lists `from`, in which they must be, and appends them
  // as they are encoded now. from: each list once. Bounds by code hold for older snapshots too.
  void Replace(std::span<const uint32_t> from, const EncodedVectors& vectors, const Slot* slots);
  // Goes over to a codebook that has come from the one before by Codebook::WithCentroids. Entries
  // stay as they are: those of a list with another centroid are to be replaced before Snapshot().
  void UseTables(std::shared_ptr<const SearchTables> tables);

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
