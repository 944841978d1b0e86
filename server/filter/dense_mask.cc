#include "server/filter/dense_mask.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "index/base/check.h"

namespace tessera {
namespace {

constexpr uint32_t kCookie = 12346;          // no container is a list of runs
constexpr uint32_t kCookieWithRuns = 12347;  // in the low half; the number of containers above
constexpr size_t kNoOffsetsBelow = 4;        // containers, if some are runs
constexpr size_t kArrayValues = 4096;        // values; more are a bitset
constexpr size_t kContainerSlots = 1 << 16;
constexpr size_t kWordBits = SlotMask::kWordBits;
constexpr size_t kContainerWords = kContainerSlots / kWordBits;

template <class T>
T Read(const char*& at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  at += sizeof(value);
  return value;
}

void SetBit(uint32_t* words, uint32_t bit) {
  words[bit / kWordBits] |= uint32_t{1} << (bit % kWordBits);
}

void SetRange(uint32_t* words, uint32_t begin, uint32_t end) {
  for (; begin < end && begin % kWordBits != 0; ++begin) SetBit(words, begin);
  for (; begin + kWordBits <= end; begin += kWordBits) words[begin / kWordBits] = ~uint32_t{0};
  for (; begin < end; ++begin) SetBit(words, begin);
}

// Sets the bits of one container, and returns where it ends. There are words for all its slots.
const char* ReadContainer(const char* at, bool runs, size_t cardinality, uint32_t* words) {
  if (runs) {
    for (uint16_t n = Read<uint16_t>(at); n > 0; --n) {
      const uint32_t begin = Read<uint16_t>(at);
      const uint32_t more = Read<uint16_t>(at);
      SetRange(words, begin, begin + more + 1);
    }
    return at;
  }
  if (cardinality > kArrayValues) {
    for (size_t w = 0; w < kContainerWords; ++w) words[w] |= Read<uint32_t>(at);
    return at;
  }
  for (size_t i = 0; i < cardinality; ++i) SetBit(words, Read<uint16_t>(at));
  return at;
}

}  // namespace

void DenseMaskWriter::Insert(const Roaring& slots) {
  bytes_.resize(slots.getSizeInBytes());
  slots.write(bytes_.data());
  const char* at = bytes_.data();
  const uint32_t cookie = Read<uint32_t>(at);
  const bool has_runs = (cookie & 0xFFFF) == kCookieWithRuns;
  TESSERA_CHECK(has_runs || cookie == kCookie);
  const size_t containers = has_runs ? (cookie >> 16) + 1 : Read<uint32_t>(at);
  const char* run_flags = at;
  if (has_runs) at += (containers + 7) / 8;
  const char* header = at;
  at += 4 * containers;
  if (!has_runs || containers >= kNoOffsetsBelow) at += 4 * containers;
  for (size_t i = 0; i < containers; ++i) {
    const size_t key = Read<uint16_t>(header);
    const size_t cardinality = size_t{Read<uint16_t>(header)} + 1;
    const bool runs = has_runs && ((run_flags[i / 8] >> (i % 8)) & 1) != 0;
    const size_t first = key * kContainerWords;
    if (first >= mask_->num_words()) break;
    const size_t room = mask_->num_words() - first;
    if (room >= kContainerWords) {
      at = ReadContainer(at, runs, cardinality, mask_->words() + first);
      continue;
    }
    std::vector<uint32_t> last(kContainerWords);
    ReadContainer(at, runs, cardinality, last.data());
    for (size_t w = 0; w < room; ++w) mask_->words()[first + w] |= last[w];
    break;
  }
  // Slots from the end on, if the bitmap has any.
  const Slot end = mask_->end();
  mask_->words()[end / kWordBits] &= (uint32_t{1} << (end % kWordBits)) - 1;
}

SlotMask MakeDenseMask(const Roaring& slots, Slot end) {
  SlotMask mask(end);
  DenseMaskWriter(&mask).Insert(slots);
  return mask;
}

}  // namespace tessera
