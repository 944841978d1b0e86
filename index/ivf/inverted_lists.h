#ifndef TESSERA_INDEX_IVF_INVERTED_LISTS_H_
#define TESSERA_INDEX_IVF_INVERTED_LISTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "index/base/types.h"
#include "index/ivf/codebook.h"

namespace tessera {

class ListsSnapshot;

// The inverted lists of one codebook, in memory, packed for the scan kernel.
//
// One writer at a time (the caller serialises Append and Compact). Readers take a snapshot, which
// never changes and keeps alive what it shows; they take no lock that the writer holds.
class InvertedLists {
 public:
  explicit InvertedLists(std::shared_ptr<const Codebook> codebook);
  ~InvertedLists();

  // Appends encoded vectors; slots[i] is the point of row i. Readers see them from the next
  // Snapshot() on.
  void Append(const EncodedVectors& vectors, const Slot* slots);

  // The lists as they are now: cheap, and cheaper the less has changed since the last one.
  std::shared_ptr<const ListsSnapshot> Snapshot();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_INVERTED_LISTS_H_
