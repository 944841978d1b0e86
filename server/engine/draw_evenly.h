#ifndef TESSERA_SERVER_ENGINE_DRAW_EVENLY_H_
#define TESSERA_SERVER_ENGINE_DRAW_EVENLY_H_

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "index/base/types.h"

namespace tessera {

// `count` of the slots, all if there are no more, spread evenly over them.
inline std::vector<Slot> DrawEvenly(std::span<const Slot> slots, size_t count) {
  std::vector<Slot> drawn(std::min(slots.size(), count));
  for (size_t i = 0; i < drawn.size(); ++i) drawn[i] = slots[i * slots.size() / drawn.size()];
  return drawn;
}

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_DRAW_EVENLY_H_
