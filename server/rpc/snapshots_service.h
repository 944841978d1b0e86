#ifndef TESSERA_SERVER_RPC_SNAPSHOTS_SERVICE_H_
#define TESSERA_SERVER_RPC_SNAPSHOTS_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "server/rpc/service_env.h"

namespace tessera {

// tessera.v1.Snapshots. `env` outlives the service.
std::unique_ptr<grpc::Service> NewSnapshotsService(const ServiceEnv& env);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_SNAPSHOTS_SERVICE_H_
