#ifndef TESSERA_CLIENT_CPP_CLIENT_STUBS_H_
#define TESSERA_CLIENT_CPP_CLIENT_STUBS_H_

#include <memory>

#include "client/cpp/client.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "tessera/v1/codebooks.grpc.pb.h"
#include "tessera/v1/collections.grpc.pb.h"
#include "tessera/v1/operations.grpc.pb.h"
#include "tessera/v1/points.grpc.pb.h"
#include "tessera/v1/snapshots.grpc.pb.h"

// Private to the client library: keeps the generated services out of the public header.
namespace tessera {

struct Client::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : channel(channel),
        collections(v1::Collections::NewStub(channel)),
        points(v1::Points::NewStub(channel)),
        codebooks(v1::Codebooks::NewStub(channel)),
        operations(v1::Operations::NewStub(channel)),
        snapshots(v1::Snapshots::NewStub(channel)),
        health(grpc::health::v1::Health::NewStub(channel)) {}

  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Collections::Stub> collections;
  // Shared with the streams that are open.
  const std::shared_ptr<v1::Points::Stub> points;
  const std::unique_ptr<v1::Codebooks::Stub> codebooks;
  const std::unique_ptr<v1::Operations::Stub> operations;
  const std::unique_ptr<v1::Snapshots::Stub> snapshots;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health;
};

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_CLIENT_STUBS_H_
