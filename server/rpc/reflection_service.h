#ifndef TESSERA_SERVER_RPC_REFLECTION_SERVICE_H_
#define TESSERA_SERVER_RPC_REFLECTION_SERVICE_H_

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "server/rpc/service_env.h"

namespace tessera {

// grpc.reflection.v1alpha.ServerReflection: the services of this server and the files that declare
// them. gRPC's own belongs to the synchronous API, whose thread would poll beside those of the
// callback API and wake them for every call (polling_threads.h). `env` outlives the service.
std::unique_ptr<grpc::Service> NewReflectionService(const ServiceEnv& env);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_REFLECTION_SERVICE_H_
