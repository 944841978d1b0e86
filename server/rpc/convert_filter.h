#ifndef TESSERA_SERVER_RPC_CONVERT_FILTER_H_
#define TESSERA_SERVER_RPC_CONVERT_FILTER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/types.h"
#include "tessera/v1/filters.pb.h"

namespace tessera {

// What a message alone can be at fault for is INVALID_ARGUMENT with the path of the field, which
// begins with `field`: "filter.must[2].datetime_range.gte". So is the first condition or value over
// the limits, counted as they were sent. The engine checks the rest.
absl::StatusOr<Filter> ToFilter(const v1::Filter& filter, const std::string& field);

// At most limits::kPayloadSelectorFieldsMax keys.
absl::StatusOr<std::vector<FieldPath>> ToFieldPaths(
    const google::protobuf::RepeatedPtrField<std::string>& keys, const std::string& field);

// For the fields `key` and `type`.
absl::StatusOr<PayloadIndexSpec> ToPayloadIndexSpec(const std::string& key,
                                                    v1::PayloadIndexType type);
void FromPayloadIndexInfo(const PayloadIndexInfo& info, v1::PayloadIndex* out);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_FILTER_H_
