#ifndef TESSERA_SERVER_RPC_CONVERT_SNAPSHOTS_H_
#define TESSERA_SERVER_RPC_CONVERT_SNAPSHOTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/snapshots.h"
#include "tessera/v1/snapshots.pb.h"

namespace tessera {

// INVALID_ARGUMENT for the field snapshot_id if it does not have the form of the ids that the
// server makes.
absl::Status CheckSnapshotId(const std::string& id);
void FromSnapshotInfo(const SnapshotInfo& info, v1::Snapshot* out);

// The token of the page that follows the snapshot `last`, and back. "" is the first page; a token
// that is not ours is INVALID_ARGUMENT.
//
//   token = base64url( version:u8 = 1, id:bytes )
std::string ToSnapshotsToken(const std::string& last);
absl::StatusOr<std::string> FromSnapshotsToken(const std::string& token);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_SNAPSHOTS_H_
