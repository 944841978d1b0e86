#ifndef TESSERA_SERVER_ENGINE_ORPHANS_H_
#define TESSERA_SERVER_ENGINE_ORPHANS_H_

#include <cstdint>
#include <set>

#include "absl/status/status.h"
#include "server/storage/store.h"

namespace tessera {

// Deletes the records of collections that are not in `known`, all that the catalog has: they are of
// a restore that was interrupted, or codes of a training that was running while its collection was
// deleted.
absl::Status SweepOrphans(Store& store, const std::set<uint32_t>& known);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_ORPHANS_H_
