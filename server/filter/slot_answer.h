#ifndef TESSERA_SERVER_FILTER_SLOT_ANSWER_H_
#define TESSERA_SERVER_FILTER_SLOT_ANSWER_H_

#include <roaring/roaring.hh>
#include <utility>

namespace tessera {

// What indexes know of which slots match: `certain` do, those in `open` may (their payloads tell),
// all others do not. The two have no slot in common.
struct SlotAnswer {
  Roaring certain;
  Roaring open;

  bool decided() const { return open.isEmpty(); }
  Roaring possible() const { return open.isEmpty() ? certain : certain | open; }

  SlotAnswer& And(const SlotAnswer& other) {
    if (decided() && other.decided()) {
      certain &= other.certain;
      return *this;
    }
    Roaring both = possible() & other.possible();
    certain &= other.certain;
    open = std::move(both) - certain;
    return *this;
  }
  SlotAnswer& Or(const SlotAnswer& other) {
    certain |= other.certain;
    open |= other.open;
    if (!open.isEmpty()) open -= certain;
    return *this;
  }
  // Of all slots, those that are not meant.
  void Negate(const Roaring& universe) { certain = universe - possible(); }
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_SLOT_ANSWER_H_
