#include "client/cpp/client.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/call_setup.h"
#include "client/cpp/client_stubs.h"
#include "client/cpp/error_details.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

// No proxy of the environment leads to a server beside the client.
bool IsBeside(std::string_view address) {
  return address.starts_with("localhost:") || address.starts_with("127.") ||
         address.starts_with("[::1]");
}

std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(limits::kMessageBytesMax);
  arguments.SetMaxSendMessageSize(limits::kMessageBytesMax);
  // Programs that talk to two servers must not find themselves on one connection, and a program
  // that wants two connections to one server makes two Clients.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A server that restarts is back within a second; gRPC's own pauses are made for wide networks.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  if (IsBeside(options.address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!options.tls_name.empty()) arguments.SetSslTargetNameOverride(options.tls_name);
  const auto keepalive_ms = static_cast<int>(
      absl::ToInt64Milliseconds(std::clamp(options.keepalive, absl::Seconds(10), absl::Hours(24))));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_ms / 3);
  // Of a call that waits, such as Watch: gRPC would stop after two.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(
      options.address,
      options.credentials != nullptr ? options.credentials : grpc::InsecureChannelCredentials(),
      arguments);
}

// One blocking unary call: `method` is the stub's, Request and Response follow from it.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request, const ClientOptions& options) {
  grpc::ClientContext context;
  Prepare(context, options.timeout, options.api_key);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return ToAbslStatus(status);
  return response;
}

}  // namespace

Client::Client(ClientOptions options)
    : options_(std::move(options)), stubs_(std::make_unique<Stubs>(MakeChannel(options_))) {}

Client::~Client() = default;

absl::StatusOr<v1::Collection> Client::CreateCollection(
    const v1::CreateCollectionRequest& request) {
  return Call(*stubs_->collections, &v1::Collections::Stub::Create, request, options_);
}

absl::StatusOr<v1::Collection> Client::GetCollection(std::string_view name) {
  v1::GetCollectionRequest request;
  request.set_collection_name(std::string(name));
  return Call(*stubs_->collections, &v1::Collections::Stub::Get, request, options_);
}

absl::StatusOr<v1::Collection> Client::UpdateCollection(
    const v1::UpdateCollectionRequest& request) {
  return Call(*stubs_->collections, &v1::Collections::Stub::Update, request, options_);
}

absl::StatusOr<v1::GetListStatisticsResponse> Client::GetListStatistics(
    const v1::GetListStatisticsRequest& request) {
  return Call(*stubs_->collections, &v1::Collections::Stub::GetListStatistics, request, options_);
}

absl::StatusOr<v1::Operation> Client::Calibrate(const v1::CalibrateRequest& request) {
  return Call(*stubs_->collections, &v1::Collections::Stub::Calibrate, request, options_);
}

absl::StatusOr<v1::ListCollectionsResponse> Client::ListCollections(
    const v1::ListCollectionsRequest& request) {
  return Call(*stubs_->collections, &v1::Collections::Stub::List, request, options_);
}

absl::Status Client::DeleteCollection(std::string_view name) {
  v1::DeleteCollectionRequest request;
  request.set_collection_name(std::string(name));
  return Call(*stubs_->collections, &v1::Collections::Stub::Delete, request, options_).status();
}

absl::StatusOr<v1::UpsertResponse> Client::Upsert(const v1::UpsertRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::Upsert, request, options_);
}

std::unique_ptr<BulkUpserter> Client::StartBulkUpsert(const BulkUpserter::Options& options) {
  return std::make_unique<BulkUpserter>(stubs_->points, options, options_.api_key);
}

absl::StatusOr<v1::DeletePointsResponse> Client::DeletePoints(
    const v1::DeletePointsRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::Delete, request, options_);
}

absl::StatusOr<v1::GetPointsResponse> Client::GetPoints(const v1::GetPointsRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::Get, request, options_);
}

absl::StatusOr<uint64_t> Client::CountPoints(std::string_view collection_name) {
  v1::CountRequest request;
  request.set_collection_name(std::string(collection_name));
  const auto response = CountPoints(request);
  if (!response.ok()) return response.status();
  return response->points();
}

absl::StatusOr<v1::CountResponse> Client::CountPoints(const v1::CountRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::Count, request, options_);
}

absl::StatusOr<v1::ScrollResponse> Client::Scroll(const v1::ScrollRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::Scroll, request, options_);
}

absl::StatusOr<v1::SearchResponse> Client::Search(const v1::SearchRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::Search, request, options_);
}

std::unique_ptr<SearchStream> Client::StartSearchStream() {
  return std::make_unique<SearchStream>(stubs_->points, options_.api_key);
}

absl::StatusOr<v1::SearchRangeResponse> Client::SearchRange(const v1::SearchRangeRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::SearchRange, request, options_);
}

absl::StatusOr<v1::SearchBatchResponse> Client::SearchBatch(const v1::SearchBatchRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::SearchBatch, request, options_);
}

absl::StatusOr<v1::SearchGroupsResponse> Client::SearchGroups(
    const v1::SearchGroupsRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::SearchGroups, request, options_);
}

absl::StatusOr<v1::FacetResponse> Client::Facet(const v1::FacetRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::Facet, request, options_);
}

absl::StatusOr<v1::UpsertResponse> Client::SetPayload(const v1::SetPayloadRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::SetPayload, request, options_);
}

absl::StatusOr<v1::UpsertResponse> Client::OverwritePayload(const v1::SetPayloadRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::OverwritePayload, request, options_);
}

absl::StatusOr<v1::UpsertResponse> Client::DeletePayload(const v1::DeletePayloadRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::DeletePayload, request, options_);
}

absl::StatusOr<v1::UpsertResponse> Client::ClearPayload(const v1::ClearPayloadRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::ClearPayload, request, options_);
}

absl::StatusOr<v1::UpsertResponse> Client::UpdateVectors(const v1::UpdateVectorsRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::UpdateVectors, request, options_);
}

absl::StatusOr<v1::DeletePointsResponse> Client::DeleteByFilter(
    const v1::DeleteByFilterRequest& request) {
  return Call(*stubs_->points, &v1::Points::Stub::DeleteByFilter, request, options_);
}

absl::Status Client::UpdateAliases(const v1::UpdateAliasesRequest& request) {
  return Call(*stubs_->collections, &v1::Collections::Stub::UpdateAliases, request, options_)
      .status();
}

absl::StatusOr<v1::ListAliasesResponse> Client::ListAliases(std::string_view collection_name,
                                                            std::string_view page_token) {
  v1::ListAliasesRequest request;
  request.set_collection_name(std::string(collection_name));
  request.set_page_token(std::string(page_token));
  return Call(*stubs_->collections, &v1::Collections::Stub::ListAliases, request, options_);
}

absl::StatusOr<v1::Operation> Client::CreatePayloadIndex(
    const v1::CreatePayloadIndexRequest& request) {
  return Call(*stubs_->collections, &v1::Collections::Stub::CreatePayloadIndex, request, options_);
}

absl::Status Client::DropPayloadIndex(std::string_view collection_name, std::string_view key) {
  v1::DropPayloadIndexRequest request;
  request.set_collection_name(std::string(collection_name));
  request.set_key(std::string(key));
  return Call(*stubs_->collections, &v1::Collections::Stub::DropPayloadIndex, request, options_)
      .status();
}

absl::StatusOr<v1::Operation> Client::Train(const v1::TrainRequest& request) {
  return Call(*stubs_->codebooks, &v1::Codebooks::Stub::Train, request, options_);
}

absl::StatusOr<v1::Codebook> Client::GetCodebook(std::string_view collection_name,
                                                 uint32_t version) {
  v1::GetCodebookRequest request;
  request.set_collection_name(std::string(collection_name));
  request.set_version(version);
  return Call(*stubs_->codebooks, &v1::Codebooks::Stub::Get, request, options_);
}

absl::StatusOr<v1::Operation> Client::ActivateCodebook(std::string_view collection_name,
                                                       uint32_t version) {
  v1::ActivateCodebookRequest request;
  request.set_collection_name(collection_name.data(), collection_name.size());
  request.set_version(version);
  return Call(*stubs_->codebooks, &v1::Codebooks::Stub::Activate, request, options_);
}

absl::Status Client::DeleteCodebook(std::string_view collection_name, uint32_t version) {
  v1::DeleteCodebookRequest request;
  request.set_collection_name(collection_name.data(), collection_name.size());
  request.set_version(version);
  return Call(*stubs_->codebooks, &v1::Codebooks::Stub::Delete, request, options_).status();
}

absl::StatusOr<v1::ListCodebooksResponse> Client::ListCodebooks(std::string_view collection_name) {
  v1::ListCodebooksRequest request;
  request.set_collection_name(std::string(collection_name));
  return Call(*stubs_->codebooks, &v1::Codebooks::Stub::List, request, options_);
}

absl::StatusOr<v1::EncodeResponse> Client::Encode(const v1::EncodeRequest& request) {
  return Call(*stubs_->codebooks, &v1::Codebooks::Stub::Encode, request, options_);
}

absl::StatusOr<v1::DecodeResponse> Client::Decode(const v1::DecodeRequest& request) {
  return Call(*stubs_->codebooks, &v1::Codebooks::Stub::Decode, request, options_);
}

absl::StatusOr<v1::Operation> Client::CreateSnapshot(std::string_view collection_name) {
  v1::CreateSnapshotRequest request;
  request.set_collection_name(std::string(collection_name));
  return Call(*stubs_->snapshots, &v1::Snapshots::Stub::Create, request, options_);
}

absl::StatusOr<v1::ListSnapshotsResponse> Client::ListSnapshots(
    const v1::ListSnapshotsRequest& request) {
  return Call(*stubs_->snapshots, &v1::Snapshots::Stub::List, request, options_);
}

absl::StatusOr<v1::Snapshot> Client::GetSnapshot(std::string_view snapshot_id) {
  v1::GetSnapshotRequest request;
  request.set_snapshot_id(std::string(snapshot_id));
  return Call(*stubs_->snapshots, &v1::Snapshots::Stub::Get, request, options_);
}

absl::StatusOr<v1::Operation> Client::VerifySnapshot(std::string_view snapshot_id) {
  v1::VerifySnapshotRequest request;
  request.set_snapshot_id(std::string(snapshot_id));
  return Call(*stubs_->snapshots, &v1::Snapshots::Stub::Verify, request, options_);
}

absl::Status Client::DeleteSnapshot(std::string_view snapshot_id) {
  v1::DeleteSnapshotRequest request;
  request.set_snapshot_id(std::string(snapshot_id));
  return Call(*stubs_->snapshots, &v1::Snapshots::Stub::Delete, request, options_).status();
}

absl::StatusOr<v1::Operation> Client::RestoreSnapshot(const v1::RestoreSnapshotRequest& request) {
  return Call(*stubs_->snapshots, &v1::Snapshots::Stub::Restore, request, options_);
}

absl::StatusOr<v1::Operation> Client::GetOperation(std::string_view operation_id) {
  v1::GetOperationRequest request;
  request.set_operation_id(std::string(operation_id));
  return Call(*stubs_->operations, &v1::Operations::Stub::Get, request, options_);
}

absl::StatusOr<v1::ListOperationsResponse> Client::ListOperations(std::string_view collection_name,
                                                                  std::string_view page_token) {
  v1::ListOperationsRequest request;
  request.set_collection_name(std::string(collection_name));
  request.set_page_token(std::string(page_token));
  return Call(*stubs_->operations, &v1::Operations::Stub::List, request, options_);
}

absl::StatusOr<v1::Operation> Client::CancelOperation(std::string_view operation_id) {
  v1::CancelOperationRequest request;
  request.set_operation_id(std::string(operation_id));
  return Call(*stubs_->operations, &v1::Operations::Stub::Cancel, request, options_);
}

bool Client::WaitForConnected(absl::Duration timeout) {
  return stubs_->channel->WaitForConnected(absl::ToChronoTime(absl::Now() + timeout));
}

absl::Status Client::CheckHealth(std::string_view service, absl::Duration timeout) {
  using grpc::health::v1::HealthCheckResponse;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(std::string(service));
  ClientOptions options = options_;
  options.timeout = std::min(timeout, options_.timeout);
  auto response = Call(*stubs_->health, &grpc::health::v1::Health::Stub::Check, request, options);
  if (!response.ok()) return response.status();
  if (response->status() != HealthCheckResponse::SERVING) {
    return absl::UnavailableError(absl::StrCat(
        "the server answers ", HealthCheckResponse::ServingStatus_Name(response->status())));
  }
  return absl::OkStatus();
}

}  // namespace tessera
