#ifndef TESSERA_TESTS_SERVER_ENGINE_PLACEMENT_NAME_H_
#define TESSERA_TESTS_SERVER_ENGINE_PLACEMENT_NAME_H_

#include <string>

#include "server/engine/types.h"

namespace tessera {

// For the names of tests.
inline std::string PlacementName(VectorPlacement placement) {
  switch (placement) {
    case VectorPlacement::kMemory:
      return "Memory";
    case VectorPlacement::kDisk:
      return "Disk";
    case VectorPlacement::kDiskSq8:
      return "DiskSq8";
  }
  return "";
}

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_PLACEMENT_NAME_H_
