#ifndef TESSERA_INDEX_BASE_PREFETCH_H_
#define TESSERA_INDEX_BASE_PREFETCH_H_

namespace tessera {

// Has the line of `address` come into the second-level cache. For much data that comes from memory:
// a core can have more lines under way to there than to the first level, and takes them over in a
// few cycles (index/README.md has what it gains).
//
// Always inlined: GCC drops calls of a function of which it sees that it does nothing but prefetch.
[[gnu::always_inline]] inline void PrefetchFar(const void* address) {
  constexpr int kRead = 0;
  constexpr int kSecondLevel = 2;
  __builtin_prefetch(address, kRead, kSecondLevel);
}

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_PREFETCH_H_
