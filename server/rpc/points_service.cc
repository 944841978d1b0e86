#include "server/rpc/points_service.h"

#include "server/rpc/points_handlers.h"
#include "server/rpc/search_gatherer.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/upsert_stream.h"
#include "tessera/v1/points.grpc.pb.h"

namespace tessera {
namespace {

using Service = v1::Points;
using RawService =
    Service::WithRawCallbackMethod_Upsert<Service::WithRawCallbackMethod_UpsertStream<
        Service::WithRawCallbackMethod_Delete<Service::WithRawCallbackMethod_Get<
            Service::WithRawCallbackMethod_Count<Service::WithRawCallbackMethod_Scroll<
                Service::WithRawCallbackMethod_Search<Service::Service>>>>>>>;

class PointsService final : public RawService {
 public:
  explicit PointsService(const ServiceEnv& env) : env_(env), searches_(env) {}

  grpc::ServerUnaryReactor* Upsert(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.Upsert", context, request, response},
                    HandleUpsert);
  }
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* UpsertStream(
      grpc::CallbackServerContext*) override {
    return StartUpsertStream(env_);
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.Delete", context, request, response},
                    HandleDelete);
  }
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request,
                                grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.search_pool, {"Points.Get", context, request, response}, HandleGet);
  }
  grpc::ServerUnaryReactor* Count(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.search_pool, {"Points.Count", context, request, response},
                    HandleCount);
  }
  grpc::ServerUnaryReactor* Scroll(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.search_pool, {"Points.Scroll", context, request, response},
                    HandleScroll);
  }
  grpc::ServerUnaryReactor* Search(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override {
    return searches_.Start({"Points.Search", context, request, response});
  }

 private:
  const ServiceEnv& env_;
  SearchGatherer searches_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewPointsService(const ServiceEnv& env) {
  return std::make_unique<PointsService>(env);
}

}  // namespace tessera
