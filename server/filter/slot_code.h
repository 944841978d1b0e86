#ifndef TESSERA_SERVER_FILTER_SLOT_CODE_H_
#define TESSERA_SERVER_FILTER_SLOT_CODE_H_

#include <cstddef>
#include <cstdint>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "index/base/byte_io.h"
#include "index/base/types.h"
#include "server/filter/posting.h"

// Sets of slots as bytes; README.md, section "Contents of an index", has the grammar. Not the
// bytes of the bitmaps themselves: the library cannot tell whether those are sound.
namespace tessera {

void AppendVarint(uint64_t number, std::string* bytes);
[[nodiscard]] bool ReadVarint(ByteReader& reader, uint64_t* number);

// Appends slots from the front of `*rest`, which ascends, and takes them off, until all are taken
// or about `bytes_max` bytes are there.
void EncodeSlots(std::span<const Slot>* rest, size_t bytes_max, std::string* bytes);
// Appends all slots, however many bytes that takes.
void EncodeSlots(std::span<const Slot> slots, std::string* bytes);

// A set of slots that comes in pieces, each of EncodeSlots, from bytes that nobody vouches for. Not
// thread-safe.
class DecodedSlots {
 public:
  // Slots are below `end`.
  explicit DecodedSlots(uint64_t end) : end_(end) {}

  // False if the bytes are no slots, or not all of them come after those that are there.
  [[nodiscard]] bool Add(std::string_view bytes);
  bool empty() const { return next_ == 0; }
  // Takes all slots but those of `without`.
  Roaring TakeBitmap(const Roaring& without);
  Posting TakePosting(const Roaring& without);

 private:
  bool AddRun(uint64_t first, uint64_t size);

  const uint64_t end_;
  uint64_t next_ = 0;       // no lower slot may come
  std::vector<Slot> ones_;  // that are not in bitmap_
  Roaring bitmap_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_SLOT_CODE_H_
