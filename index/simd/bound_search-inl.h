// A bound up to which about so many of some floats lie. Included once per target.

#if defined(TESSERA_INDEX_SIMD_BOUND_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_INDEX_SIMD_BOUND_SEARCH_INL_H_
#undef TESSERA_INDEX_SIMD_BOUND_SEARCH_INL_H_
#else
#define TESSERA_INDEX_SIMD_BOUND_SEARCH_INL_H_
#endif

#include <cstddef>

#include "hwy/highway.h"
#include "index/simd/bound_guess.h"
#include "index/simd/range-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// How many of the values are at most `bound`.
HWY_INLINE size_t CountUpTo(const float* HWY_RESTRICT values, size_t n, float bound) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto bounds = hn::Set(d, bound);
  const auto count_at = [&](size_t i) HWY_ATTR {
    return hn::CountTrue(d, hn::Le(hn::LoadU(d, values + i), bounds));
  };
  size_t even = 0, odd = 0, i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even += count_at(i);
    odd += count_at(i + lanes);
  }
  for (; i + lanes <= n; i += lanes) even += count_at(i);
  if (n < lanes) {
    for (; i < n; ++i) odd += values[i] <= bound;
  } else if (i < n) {
    // The last whole vector, without the lanes that have been counted.
    const auto counted = hn::FirstN(d, lanes - (n - i));
    const auto below = hn::Le(hn::LoadU(d, values + n - lanes), bounds);
    odd += hn::CountTrue(d, hn::AndNot(counted, below));
  }
  return even + odd;
}

// As BoundOf, by halving. Up to `high` there are enough values.
HWY_INLINE float BisectBound(const float* HWY_RESTRICT values, size_t n, size_t count, size_t most,
                             float high) {
  float low = RangeOf(values, n).least;
  if (CountUpTo(values, n, low) >= count) return low;
  while (true) {
    const float bound = low + (high - low) / 2;
    if (!(bound > low && bound < high)) return high;
    const size_t found = CountUpTo(values, n, bound);
    if (found >= count && found <= most) return bound;
    (found < count ? low : high) = bound;
  }
}

// A bound up to which at least `count` and at most `most` of the n values lie (0 < count <= most,
// count <= n), or more if those lie as near to the last of them as floats can tell. Values must be
// finite, and none above hint->high, which becomes the bound. Counting is a pass over a few cache
// lines without a branch that depends on the data, where a selection by exchanges mispredicts at
// every step; guesses on a logarithmic scale take one to three passes where halving takes ten.
HWY_INLINE float BoundOf(const float* HWY_RESTRICT values, size_t n, size_t count, size_t most,
                         BoundHint* hint) {
  constexpr int kGuesses = 8;
  BoundSearch search(n, count + (most - count) / 2, *hint);
  if (!search.begun()) {
    const Range range = RangeOf(values, n);
    if (count == 1 || most >= n) {
      *hint = {count == 1 ? range.least : range.most, 0};
      return hint->high;
    }
    search.Begin(range.least, range.most);
  }
  for (int pass = 0; pass < kGuesses; ++pass) {
    float bound;
    if (!search.Guess(&bound)) break;
    const size_t found = CountUpTo(values, n, bound);
    if (found >= count && found <= most) {
      *hint = search.HintAt({bound, found});
      return bound;
    }
    search.Note({bound, found}, found < count);
  }
  // Many are equal, or nearly.
  *hint = {BisectBound(values, n, count, most, search.high()), 0};
  return hint->high;
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif  // TESSERA_INDEX_SIMD_BOUND_SEARCH_INL_H_
