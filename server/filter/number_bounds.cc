#include "server/filter/number_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The first double from `bound` on, or behind it.
double FirstFrom(Number bound, bool behind) {
  const auto nearest = static_cast<double>(bound);
  const bool too_low = behind ? static_cast<Number>(nearest) <= bound : nearest < bound;
  return too_low ? std::nextafter(nearest, kInfinity) : nearest;
}

}  // namespace

Bounds<int64_t> BoundsOfIntegers(const Bounds<Number>& bounds) {
  constexpr Number kEnd = 9223372036854775808.0L;  // behind the largest
  Number first = -kEnd;
  Number last = kEnd - 1;
  if (bounds.gte) first = std::max(first, std::ceil(*bounds.gte));
  if (bounds.gt) first = std::max(first, std::floor(*bounds.gt) + 1);
  if (bounds.lte) last = std::min(last, std::floor(*bounds.lte));
  if (bounds.lt) last = std::min(last, std::ceil(*bounds.lt) - 1);
  if (first > last) return {.lte = 0, .gte = 1};
  return {.lte = static_cast<int64_t>(last), .gte = static_cast<int64_t>(first)};
}

Bounds<double> BoundsOfDoubles(const Bounds<Number>& bounds) {
  double first = -kInfinity;
  double last = kInfinity;
  if (bounds.gte) first = std::max(first, FirstFrom(*bounds.gte, false));
  if (bounds.gt) first = std::max(first, FirstFrom(*bounds.gt, true));
  if (bounds.lte) last = std::min(last, -FirstFrom(-*bounds.lte, false));
  if (bounds.lt) last = std::min(last, -FirstFrom(-*bounds.lt, true));
  return {.lte = last, .gte = first};
}

}  // namespace tessera
