#ifndef TESSERA_CLIENT_CPP_CLIENT_H_
#define TESSERA_CLIENT_CPP_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/bulk_upserter.h"
#include "client/cpp/search_stream.h"
#include "grpcpp/security/credentials.h"
#include "tessera/v1/codebooks.pb.h"
#include "tessera/v1/collections.pb.h"
#include "tessera/v1/operations.pb.h"
#include "tessera/v1/points.pb.h"
#include "tessera/v1/snapshots.pb.h"

namespace tessera {

struct ClientOptions {
  std::string address = "127.0.0.1:6433";  // host:port, or any target that gRPC understands
  // Of each unary call. Calls that stream have none: bulk work takes as long as it takes.
  absl::Duration timeout = absl::Seconds(60);
  // A call, one that streams too, ends with UNAVAILABLE when nothing has come from the server for
  // so long, 10 s at least, and a third of it: its machine is gone, or the way to it.
  absl::Duration keepalive = absl::Seconds(60);
  // Null: plain text.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  // What the server's certificate is to name; empty: the host of the address. Of TLS alone.
  std::string tls_name;
  // Sent with each call, if it is not empty. A server whose --api_keys_file it is in takes it; gRPC
  // takes printable ASCII alone, and what is not is not sent.
  std::string api_key;
};

// A connection to a Tessera server. It connects on first use and again when a connection is lost.
//
// Thread-safe: one Client serves a whole program. Every call blocks. Errors of the server keep
// their canonical code; GetErrorDetails (error_details.h) reads the reason and the fields from
// them. UNAVAILABLE: the server cannot be reached. DEADLINE_EXCEEDED: no answer within the timeout.
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Collections.
  absl::StatusOr<v1::Collection> CreateCollection(const v1::CreateCollectionRequest& request);
  absl::StatusOr<v1::Collection> GetCollection(std::string_view name);
  absl::StatusOr<v1::Collection> UpdateCollection(const v1::UpdateCollectionRequest& request);
  absl::StatusOr<v1::GetListStatisticsResponse> GetListStatistics(
      const v1::GetListStatisticsRequest& request);
  absl::StatusOr<v1::Operation> Calibrate(const v1::CalibrateRequest& request);
  absl::StatusOr<v1::ListCollectionsResponse> ListCollections(
      const v1::ListCollectionsRequest& request);
  absl::Status DeleteCollection(std::string_view name);
  absl::Status UpdateAliases(const v1::UpdateAliasesRequest& request);
  absl::StatusOr<v1::ListAliasesResponse> ListAliases(std::string_view collection_name,
                                                      std::string_view page_token = {});
  absl::StatusOr<v1::Operation> CreatePayloadIndex(const v1::CreatePayloadIndexRequest& request);
  absl::Status DropPayloadIndex(std::string_view collection_name, std::string_view key);

  // Points.
  absl::StatusOr<v1::UpsertResponse> Upsert(const v1::UpsertRequest& request);
  // Opens a stream for bulk loading. It uses this Client's channel, which it keeps alive.
  std::unique_ptr<BulkUpserter> StartBulkUpsert(const BulkUpserter::Options& options);
  absl::StatusOr<v1::DeletePointsResponse> DeletePoints(const v1::DeletePointsRequest& request);
  absl::StatusOr<v1::GetPointsResponse> GetPoints(const v1::GetPointsRequest& request);
  absl::StatusOr<v1::DeletePointsResponse> DeleteByFilter(const v1::DeleteByFilterRequest& request);
  absl::StatusOr<uint64_t> CountPoints(std::string_view collection_name);
  absl::StatusOr<v1::CountResponse> CountPoints(const v1::CountRequest& request);
  absl::StatusOr<v1::ScrollResponse> Scroll(const v1::ScrollRequest& request);
  absl::StatusOr<v1::SearchResponse> Search(const v1::SearchRequest& request);
  // Opens a stream of searches. It uses this Client's channel, which it keeps alive.
  std::unique_ptr<SearchStream> StartSearchStream();
  absl::StatusOr<v1::SearchRangeResponse> SearchRange(const v1::SearchRangeRequest& request);
  absl::StatusOr<v1::SearchBatchResponse> SearchBatch(const v1::SearchBatchRequest& request);
  absl::StatusOr<v1::SearchGroupsResponse> SearchGroups(const v1::SearchGroupsRequest& request);
  absl::StatusOr<v1::FacetResponse> Facet(const v1::FacetRequest& request);
  absl::StatusOr<v1::UpsertResponse> SetPayload(const v1::SetPayloadRequest& request);
  absl::StatusOr<v1::UpsertResponse> OverwritePayload(const v1::SetPayloadRequest& request);
  absl::StatusOr<v1::UpsertResponse> DeletePayload(const v1::DeletePayloadRequest& request);
  absl::StatusOr<v1::UpsertResponse> ClearPayload(const v1::ClearPayloadRequest& request);
  absl::StatusOr<v1::UpsertResponse> UpdateVectors(const v1::UpdateVectorsRequest& request);

  // Codebooks. Version 0 is the current one.
  absl::StatusOr<v1::Operation> Train(const v1::TrainRequest& request);
  absl::StatusOr<v1::Codebook> GetCodebook(std::string_view collection_name, uint32_t version);
  absl::StatusOr<v1::Operation> ActivateCodebook(std::string_view collection_name,
                                                 uint32_t version);
  absl::Status DeleteCodebook(std::string_view collection_name, uint32_t version);
  absl::StatusOr<v1::ListCodebooksResponse> ListCodebooks(std::string_view collection_name);
  absl::StatusOr<v1::EncodeResponse> Encode(const v1::EncodeRequest& request);
  absl::StatusOr<v1::DecodeResponse> Decode(const v1::DecodeRequest& request);

  // Hands the codebook's bytes to `sink`, chunk by chunk. An error of the sink ends the call and
  // is returned.
  using ChunkSink = std::function<absl::Status(std::string_view chunk)>;
  absl::Status ExportCodebook(std::string_view collection_name, uint32_t version,
                              const ChunkSink& sink);
  // Sends the chunks of `source` until it returns an empty one. An error of the source ends the
  // call, nothing is installed, and it is returned.
  using ChunkSource = std::function<absl::StatusOr<std::string>()>;
  absl::StatusOr<v1::Operation> ImportCodebook(std::string_view collection_name,
                                               const ChunkSource& source);

  // Snapshots. Verify and Restore return operations too.
  absl::StatusOr<v1::Operation> CreateSnapshot(std::string_view collection_name);
  absl::StatusOr<v1::ListSnapshotsResponse> ListSnapshots(const v1::ListSnapshotsRequest& request);
  absl::StatusOr<v1::Snapshot> GetSnapshot(std::string_view snapshot_id);
  absl::StatusOr<v1::Operation> VerifySnapshot(std::string_view snapshot_id);
  absl::Status DeleteSnapshot(std::string_view snapshot_id);
  absl::StatusOr<v1::Operation> RestoreSnapshot(const v1::RestoreSnapshotRequest& request);

  // Operations.
  absl::StatusOr<v1::Operation> GetOperation(std::string_view operation_id);
  absl::StatusOr<v1::ListOperationsResponse> ListOperations(std::string_view collection_name,
                                                            std::string_view page_token = {});
  absl::StatusOr<v1::Operation> CancelOperation(std::string_view operation_id);
  // Waits until the operation has ended, telling `on_progress` (may be null) about each state on
  // the way, the last one included. Returns the operation if it SUCCEEDED, its error if it FAILED,
  // CANCELLED if it was cancelled, and DEADLINE_EXCEEDED after `timeout` (the operation goes on).
  using ProgressCallback = std::function<void(const v1::Operation& operation)>;
  absl::StatusOr<v1::Operation> WaitOperation(std::string_view operation_id,
                                              const ProgressCallback& on_progress,
                                              absl::Duration timeout = absl::InfiniteDuration());

  // grpc.health.v1. OK: the service (empty: the server) is serving; UNAVAILABLE: it is not, or
  // cannot be reached; NOT_FOUND: the server does not know the service. `timeout` shortens that of
  // the options.
  absl::Status CheckHealth(std::string_view service = "",
                           absl::Duration timeout = absl::InfiniteDuration());

  // Waits at most `timeout` until the server can be reached. False: it cannot yet.
  bool WaitForConnected(absl::Duration timeout);

  const ClientOptions& options() const { return options_; }

 private:
  struct Stubs;

  const ClientOptions options_;
  const std::unique_ptr<const Stubs> stubs_;
};

}  // namespace tessera

#endif  // TESSERA_CLIENT_CPP_CLIENT_H_
