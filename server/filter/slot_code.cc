#include "server/filter/slot_code.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tessera {
namespace {

// A run costs a bitmap more than slots one by one do, unless it is long.
constexpr size_t kRunSlots = 16;
constexpr int kVarintBits = 64;

// Appends slots from the front of `*rest` until all are taken or `*bytes` is of size `enough`.
void EncodeUntil(size_t enough, std::span<const Slot>* rest, std::string* bytes) {
  uint64_t next = 0;
  while (!rest->empty() && bytes->size() < enough) {
    const uint64_t first = rest->front();
    size_t run = 1;
    while (run < rest->size() && (*rest)[run] == first + run) ++run;
    if (run < kRunSlots) {
      AppendVarint((first - next) << 1, bytes);
      run = 1;
    } else {
      AppendVarint((first - next) << 1 | 1, bytes);
      AppendVarint(run, bytes);
    }
    next = first + run;
    *rest = rest->subspan(run);
  }
}

}  // namespace

void AppendVarint(uint64_t number, std::string* bytes) {
  for (; number >= 0x80; number >>= 7) bytes->push_back(static_cast<char>(number | 0x80));
  bytes->push_back(static_cast<char>(number));
}

bool ReadVarint(ByteReader& reader, uint64_t* number) {
  uint64_t read = 0;
  for (int shift = 0; shift < kVarintBits; shift += 7) {
    uint8_t byte = 0;
    if (!reader.ReadU8(&byte)) return false;
    if (shift == 63 && byte > 1) return false;
    read |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) {
      *number = read;
      return true;
    }
  }
  return false;
}

void EncodeSlots(std::span<const Slot>* rest, size_t bytes_max, std::string* bytes) {
  EncodeUntil(bytes->size() + bytes_max, rest, bytes);
}

void EncodeSlots(std::span<const Slot> slots, std::string* bytes) {
  EncodeUntil(std::numeric_limits<size_t>::max(), &slots, bytes);
}

bool DecodedSlots::AddRun(uint64_t first, uint64_t size) {
  if (size == 0 || size > end_ - first) return false;
  bitmap_.addRange(first, first + size);
  next_ = first + size;
  return true;
}

bool DecodedSlots::Add(std::string_view bytes) {
  ByteReader reader(bytes);
  uint64_t at = 0;
  while (!reader.AtEnd()) {
    uint64_t token = 0;
    if (!ReadVarint(reader, &token)) return false;
    const uint64_t gap = token >> 1;
    if (gap > end_ - at) return false;
    at += gap;
    if (at < next_ || at >= end_) return false;
    if ((token & 1) == 0) {
      ones_.push_back(static_cast<Slot>(at));
      next_ = at + 1;
    } else {
      uint64_t size = 0;
      if (!ReadVarint(reader, &size) || !AddRun(at, size)) return false;
    }
    at = next_;
  }
  return true;
}

Roaring DecodedSlots::TakeBitmap(const Roaring& without) {
  bitmap_.addMany(ones_.size(), ones_.data());
  ones_.clear();
  next_ = 0;
  Roaring taken = std::exchange(bitmap_, Roaring());
  if (!without.isEmpty()) taken -= without;
  return taken;
}

Posting DecodedSlots::TakePosting(const Roaring& without) {
  if (!bitmap_.isEmpty()) return Posting(TakeBitmap(without));
  if (!without.isEmpty()) {
    std::erase_if(ones_, [&](Slot slot) { return without.contains(slot); });
  }
  const Posting taken(ones_);
  ones_.clear();
  next_ = 0;
  return taken;
}

}  // namespace tessera
