#ifndef TESSERA_SERVER_RPC_CONVERT_OPERATIONS_H_
#define TESSERA_SERVER_RPC_CONVERT_OPERATIONS_H_

#include "server/engine/types.h"
#include "tessera/v1/operations.pb.h"

namespace tessera {

// Times that are 0 are left out: the operation has not ended.
void FromOperationInfo(const OperationInfo& info, v1::Operation* out);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_OPERATIONS_H_
