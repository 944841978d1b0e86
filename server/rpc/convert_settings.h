#ifndef TESSERA_SERVER_RPC_CONVERT_SETTINGS_H_
#define TESSERA_SERVER_RPC_CONVERT_SETTINGS_H_

#include "absl/status/statusor.h"
#include "server/engine/types.h"
#include "tessera/v1/collections.pb.h"

namespace tessera {

// The change of settings that the request's mask names. INVALID_ARGUMENT names update_mask if it is
// empty or has a path that cannot change, or the field whose value is none.
absl::StatusOr<SettingsEdit> ToSettingsEdit(const v1::UpdateCollectionRequest& request);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_SETTINGS_H_
