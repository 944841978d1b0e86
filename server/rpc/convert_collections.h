#ifndef TESSERA_SERVER_RPC_CONVERT_COLLECTIONS_H_
#define TESSERA_SERVER_RPC_CONVERT_COLLECTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/engine/types.h"
#include "tessera/v1/collections.pb.h"

namespace tessera {

absl::StatusOr<IndexConfig> ToIndexConfig(const v1::IndexSpec& index);
absl::StatusOr<CollectionSpec> ToCollectionSpec(const v1::CreateCollectionRequest& request);
void FromCollectionInfo(const CollectionInfo& info, v1::Collection* out);

void FromListStatistics(const ListStatistics& statistics, v1::GetListStatisticsResponse* out);

// The token of the page that follows the collection `last`, and back. "" is the first page; a
// token that is not ours is INVALID_ARGUMENT.
//
//   token = base64url( version:u8 = 1, name:bytes )
std::string ToCollectionsToken(const std::string& last);
absl::StatusOr<std::string> FromCollectionsToken(const std::string& token);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_COLLECTIONS_H_
