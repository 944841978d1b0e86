#include "server/rpc/points_service.h"

#include "server/rpc/payload_handlers.h"
#include "server/rpc/points_handlers.h"
#include "server/rpc/search_gatherer.h"
#include "server/rpc/search_handlers.h"
#include "server/rpc/search_stream.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/upsert_stream.h"
#include "tessera/v1/points.grpc.pb.h"

namespace tessera {
namespace {

using Service = v1::Points;
using RawService = Service::WithRawCallbackMethod_Upsert<
    Service::WithRawCallbackMethod_UpsertStream<Service::WithRawCallbackMethod_Delete<
        Service::WithRawCallbackMethod_DeleteByFilter<Service::WithRawCallbackMethod_Get<
            Service::WithRawCallbackMethod_Count<Service::WithRawCallbackMethod_Scroll<
                Service::WithRawCallbackMethod_Search<Service::WithRawCallbackMethod_SearchBatch<
                    Service::WithRawCallbackMethod_SearchGroups<
                        Service::WithRawCallbackMethod_Facet<
                            Service::WithRawCallbackMethod_SetPayload<
                                Service::WithRawCallbackMethod_OverwritePayload<
                                    Service::WithRawCallbackMethod_DeletePayload<
                                        Service::WithRawCallbackMethod_ClearPayload<
                                            Service::WithRawCallbackMethod_UpdateVectors<
                                                Service::WithRawCallbackMethod_SearchStream<
                                                    Service::WithRawCallbackMethod_SearchRange<
                                                        Service::Service>>>>>>>>>>>>>>>>>>;

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
      grpc::CallbackServerContext* context) override {
    return StartUpsertStream(env_, *context);
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
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* SearchStream(
      grpc::CallbackServerContext* context) override {
    return StartSearchStream(env_, searches_, *context);
  }
  grpc::ServerUnaryReactor* DeleteByFilter(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.DeleteByFilter", context, request, response},
                    HandleDeleteByFilter);
  }
  grpc::ServerUnaryReactor* SetPayload(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.SetPayload", context, request, response},
                    HandleSetPayload);
  }
  grpc::ServerUnaryReactor* OverwritePayload(grpc::CallbackServerContext* context,
                                             const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.OverwritePayload", context, request, response},
                    HandleOverwritePayload);
  }
  grpc::ServerUnaryReactor* DeletePayload(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.DeletePayload", context, request, response},
                    HandleDeletePayload);
  }
  grpc::ServerUnaryReactor* ClearPayload(grpc::CallbackServerContext* context,
                                         const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.ClearPayload", context, request, response},
                    HandleClearPayload);
  }
  grpc::ServerUnaryReactor* UpdateVectors(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.write_pool, {"Points.UpdateVectors", context, request, response},
                    HandleUpdateVectors);
  }
  grpc::ServerUnaryReactor* SearchRange(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.search_pool, {"Points.SearchRange", context, request, response},
                    HandleSearchRange);
  }
  grpc::ServerUnaryReactor* SearchBatch(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.search_pool, {"Points.SearchBatch", context, request, response},
                    HandleSearchBatch);
  }
  grpc::ServerUnaryReactor* SearchGroups(grpc::CallbackServerContext* context,
                                         const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.search_pool, {"Points.SearchGroups", context, request, response},
                    HandleSearchGroups);
  }
  grpc::ServerUnaryReactor* Facet(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override {
    return RunUnary(env_, env_.search_pool, {"Points.Facet", context, request, response},
                    HandleFacet);
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
