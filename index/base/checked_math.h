#ifndef TESSERA_INDEX_BASE_CHECKED_MATH_H_
#define TESSERA_INDEX_BASE_CHECKED_MATH_H_

#include <concepts>

namespace tessera {

// *out = a * b; false, with *out unspecified, if the product does not fit. For sizes that are
// computed from counts which came from a file or a message.
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool CheckedMultiply(T a, T b, T* out) {
  return !__builtin_mul_overflow(a, b, out);
}

// *out = a + b; false, with *out unspecified, if the sum does not fit.
template <std::unsigned_integral T>
[[nodiscard]] constexpr bool CheckedAdd(T a, T b, T* out) {
  return !__builtin_add_overflow(a, b, out);
}

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_CHECKED_MATH_H_
