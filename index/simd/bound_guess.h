#ifndef TESSERA_INDEX_SIMD_BOUND_GUESS_H_
#define TESSERA_INDEX_SIMD_BOUND_GUESS_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace tessera {

// What one search for a bound tells the next one, of values like those of before.
struct BoundHint {
  float high = std::numeric_limits<float>::infinity();  // no value is above
  float octave = 0;  // so far below `high`, the count of values up to there halves; 0: not known
};

// Looks for a bound up to which about `wanted` of n values lie, as if the logarithm of their count
// grew evenly: near the nearest of many neighbours it about does. In numbers that are the same on
// every machine.
class BoundSearch {
 public:
  struct Count {
    float bound;
    size_t count;  // of values up to there
  };

  BoundSearch(size_t n, size_t wanted, const BoundHint& hint)
      : hint_(hint), wanted_(LogSteps(wanted)), high_{hint.high, n}, log_high_(LogSteps(n)) {}

  // Whether the hint is enough to begin with; else Begin tells the range of the values.
  bool begun() const { return hint_.octave > 0; }
  void Begin(float least, float most) {
    high_.bound = most;
    SetLow({least, 1});
  }

  // The next bound to try; false if there is none between those tried.
  bool Guess(float* bound) const {
    if (has_low_) {
      const int64_t range = std::max<int64_t>(log_high_ - log_low_, 1);
      const int64_t part =
          std::clamp<int64_t>((wanted_ - log_low_) * kParts / range, 1, kParts - 1);
      *bound = Sum(low_.bound, high_.bound - low_.bound, part, kParts);
    } else {
      *bound = Sum(high_.bound, hint_.octave, wanted_ - log_high_, kStepsPerOctave);
    }
    return *bound < high_.bound && (!has_low_ || *bound > low_.bound);
  }
  // What there is up to a guess: too few, or too many.
  void Note(const Count& tried, bool too_few) {
    if (too_few) {
      SetLow(tried);
    } else {
      high_ = tried;
      log_high_ = LogSteps(tried.count);
    }
  }

  float high() const { return high_.bound; }
  // Of the values up to `found`, for the next search.
  BoundHint HintAt(const Count& found) const {
    const int64_t steps = log_high_ - LogSteps(found.count);
    if (steps <= 0) return {found.bound, 0};
    const float octave = Sum(0, high_.bound - found.bound, kStepsPerOctave, steps);
    return {found.bound, octave};
  }

 private:
  static constexpr int64_t kStepsPerOctave = 1 << 16;
  static constexpr int64_t kParts = 4096;

  // from + width * part / parts. In double, where the product is exact: some processors would not
  // round it before the addition.
  static float Sum(float from, float width, int64_t part, int64_t parts) {
    const double share = static_cast<double>(part) / static_cast<double>(parts);
    return static_cast<float>(double{from} + double{width} * static_cast<float>(share));
  }

  // The logarithm of a count to base 2, to within 2^-7; of 0 as of 1.
  static int64_t LogSteps(size_t count) {
    if (count == 0) return 0;
    const int octave = std::bit_width(count) - 1;
    const size_t scaled = octave > 16 ? count >> (octave - 16) : count << (16 - octave);
    const auto fraction = static_cast<int64_t>(scaled & 0xFFFF);
    // log2(1 + x) - x is about 0.34 x (1 - x).
    return octave * kStepsPerOctave + fraction +
           (fraction * (kStepsPerOctave - fraction) * 11 >> 21);
  }

  void SetLow(const Count& low) {
    low_ = low;
    log_low_ = LogSteps(low.count);
    has_low_ = true;
  }

  BoundHint hint_;
  int64_t wanted_;
  Count high_;
  int64_t log_high_;
  Count low_ = {};
  int64_t log_low_ = 0;
  bool has_low_ = false;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_SIMD_BOUND_GUESS_H_
