#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr int kDimension = 16;
constexpr size_t kPoints = 2'000;

// A store that counts how often codebooks are read.
class CodebookReadsStore final : public StoreWrapper {
 public:
  CodebookReadsStore(std::unique_ptr<Store> store, std::atomic<int>& reads)
      : StoreWrapper(std::move(store)), reads_(reads) {}

  std::unique_ptr<StoreIterator> Scan(Family family, std::string_view begin, std::string_view end,
                                      bool bulk) override {
    if (family == Family::kCodebooks) ++reads_;
    return StoreWrapper::Scan(family, begin, end, bulk);
  }

 private:
  std::atomic<int>& reads_;
};

class CodebooksServiceTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    Create("words", kDimension);
    rows_ = ClusteredRows(kPoints, kDimension, 1);
    ASSERT_TRUE(UpsertRows("words", 0, rows_).ok());
  }

  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<CodebookReadsStore>(std::move(store), codebook_reads_);
  }

  // Follows the operation to its end.
  v1::Operation Watch(const std::string& id) {
    grpc::ClientContext context;
    v1::WatchOperationRequest request;
    request.set_operation_id(id);
    const auto stream = operations_->Watch(&context, request);
    v1::Operation operation;
    while (stream->Read(&operation)) {
    }
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return operation;
  }

  v1::Operation TrainByCall() {
    v1::TrainRequest request;
    request.set_collection_name("words");
    request.set_nlist(10);
    v1::Operation operation;
    const grpc::Status status = Call(*codebooks_, &v1::Codebooks::Stub::Train, request, &operation);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return Watch(operation.operation_id());
  }

  std::string Export(const std::string& collection, grpc::Status* status) {
    grpc::ClientContext context;
    v1::ExportCodebookRequest request;
    request.set_collection_name(collection);
    const auto stream = codebooks_->Export(&context, request);
    std::string bytes;
    v1::ExportCodebookResponse chunk;
    while (stream->Read(&chunk)) bytes += chunk.chunk();
    *status = stream->Finish();
    return bytes;
  }

  grpc::Status Import(const std::string& collection, const std::string& bytes,
                      v1::Operation* operation) {
    grpc::ClientContext context;
    const auto stream = codebooks_->Import(&context, operation);
    constexpr size_t kChunk = 1'000;
    for (size_t at = 0; at == 0 || at < bytes.size(); at += kChunk) {
      v1::ImportCodebookRequest chunk;
      if (at == 0) chunk.set_collection_name(collection);
      chunk.set_chunk(bytes.substr(at, kChunk));
      if (!stream->Write(chunk)) break;
    }
    stream->WritesDone();
    return stream->Finish();
  }

  Matrix rows_;
  std::atomic<int> codebook_reads_{0};
};

TEST_F(CodebooksServiceTest, TrainsAndTellsOfIt) {
  const v1::Operation operation = TrainByCall();
  EXPECT_EQ(operation.state(), v1::SUCCEEDED) << operation.error().message();
  EXPECT_EQ(operation.kind(), "train");
  EXPECT_EQ(operation.codebook_version(), 1u);
  EXPECT_TRUE(operation.has_end_time());

  v1::GetCodebookRequest get;
  get.set_collection_name("words");
  v1::Codebook codebook;
  ASSERT_TRUE(Call(*codebooks_, &v1::Codebooks::Stub::Get, get, &codebook).ok());
  EXPECT_EQ(codebook.version(), 1u);
  EXPECT_TRUE(codebook.current());
  EXPECT_EQ(codebook.nlist(), 10u);
  EXPECT_GT(codebook.mean_squared_error(), 0.0);
  EXPECT_FALSE(codebook.content_hash().empty());

  v1::ListCodebooksRequest list;
  list.set_collection_name("words");
  v1::ListCodebooksResponse all;
  ASSERT_TRUE(Call(*codebooks_, &v1::Codebooks::Stub::List, list, &all).ok());
  EXPECT_EQ(all.codebooks_size(), 1);

  v1::ListOperationsRequest operations;
  v1::ListOperationsResponse listed;
  ASSERT_TRUE(Call(*operations_, &v1::Operations::Stub::List, operations, &listed).ok());
  ASSERT_EQ(listed.operations_size(), 1);
  EXPECT_EQ(listed.operations(0).operation_id(), operation.operation_id());
}

TEST_F(CodebooksServiceTest, VersionsComePageByPage) {
  for (int i = 0; i < 3; ++i) TrainByCall();
  v1::ListCodebooksRequest list;
  list.set_collection_name("words");
  list.set_page_size(2);
  v1::ListCodebooksResponse first, rest;
  ASSERT_TRUE(Call(*codebooks_, &v1::Codebooks::Stub::List, list, &first).ok());
  ASSERT_EQ(first.codebooks_size(), 2);
  EXPECT_EQ(first.codebooks(0).version(), 1u);
  EXPECT_EQ(first.codebooks(1).version(), 2u);
  list.set_page_token(first.next_page_token());
  ASSERT_TRUE(Call(*codebooks_, &v1::Codebooks::Stub::List, list, &rest).ok());
  ASSERT_EQ(rest.codebooks_size(), 1);
  EXPECT_EQ(rest.codebooks(0).version(), 3u);
  EXPECT_EQ(rest.next_page_token(), "");

  list.set_page_token(first.next_page_token() + "x");
  EXPECT_EQ(Call(*codebooks_, &v1::Codebooks::Stub::List, list, &rest).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CodebooksServiceTest, DecodedCodesAreNearTheVectors) {
  TrainByCall();
  v1::EncodeRequest encode;
  encode.set_collection_name("words");
  encode.mutable_vectors()->mutable_values()->Add(rows_.data(), rows_.data() + 5 * kDimension);
  v1::EncodeResponse encoded;
  ASSERT_TRUE(Call(*codebooks_, &v1::Codebooks::Stub::Encode, encode, &encoded).ok());
  ASSERT_EQ(encoded.codes().lists_size(), 5);
  ASSERT_EQ(encoded.errors_size(), 5);
  EXPECT_EQ(encoded.codes().codebook_version(), 1u);

  v1::DecodeRequest decode;
  decode.set_collection_name("words");
  *decode.mutable_codes() = encoded.codes();
  v1::DecodeResponse decoded;
  ASSERT_TRUE(Call(*codebooks_, &v1::Codebooks::Stub::Decode, decode, &decoded).ok());
  ASSERT_EQ(decoded.vectors().values_size(), 5 * kDimension);
  for (int i = 0; i < 5; ++i) {
    double squared = 0;
    for (int t = 0; t < kDimension; ++t) {
      const double difference =
          decoded.vectors().values(i * kDimension + t) - rows_.row(static_cast<size_t>(i))[t];
      squared += difference * difference;
    }
    EXPECT_NEAR(std::sqrt(squared), encoded.errors(i), 1e-2 * (1 + encoded.errors(i)));
  }
}

TEST_F(CodebooksServiceTest, AnExportedCodebookCanBeImported) {
  TrainByCall();
  grpc::Status status;
  const std::string bytes = Export("words", &status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  Create("other", kDimension);
  ASSERT_TRUE(UpsertRows("other", 0, rows_).ok());
  v1::Operation operation;
  status = Import("other", bytes, &operation);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Watch(operation.operation_id()).state(), v1::SUCCEEDED);
  EXPECT_EQ(Export("other", &status), bytes);
}

// What has come is a whole codebook, but the client has not said that it is all.
TEST_F(CodebooksServiceTest, ABrokenImportIsNone) {
  TrainByCall();
  grpc::Status status;
  v1::ImportCodebookRequest book;
  book.set_collection_name("words");
  book.set_chunk(Export("words", &status));
  ASSERT_TRUE(status.ok()) << status.error_message();
  for (int i = 0; i < 100; ++i) {
    const bool expires = i % 4 == 0;
    grpc::ClientContext context;
    if (expires)
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(20));
    v1::Operation operation;
    const auto stream = codebooks_->Import(&context, &operation);
    stream->Write(book);
    if (!expires) {
      absl::SleepFor(absl::Milliseconds(i % 7));
      context.TryCancel();
    }
    EXPECT_FALSE(stream->Finish().ok());
  }
  server_->Shutdown(absl::Seconds(60));  // once it has done with all of them
  for (const OperationInfo& operation : engine_->ListOperations("")) {
    EXPECT_NE(operation.kind, "import_codebook");
  }
  EXPECT_EQ(engine_->GetCollection("words")->codebook_version, 1u);
}

// All has come, but no thread has had the time to look at it.
TEST_F(CodebooksServiceTest, AnImportThatIsCancelledWhileItWaitsIsNone) {
  TrainByCall();
  grpc::Status status;
  v1::ImportCodebookRequest book;
  book.set_collection_name("words");
  book.set_chunk(Export("words", &status));
  ASSERT_TRUE(status.ok()) << status.error_message();
  Gate gate;
  ServeThroughGate(gate);
  Create("words", kDimension);
  ASSERT_TRUE(UpsertRows("words", 0, rows_).ok());
  std::thread write = HoldUpWrites(gate, "words", 0);
  grpc::ClientContext context;
  v1::Operation operation;
  const auto stream = codebooks_->Import(&context, &operation);
  ASSERT_TRUE(stream->Write(book));
  ASSERT_TRUE(stream->WritesDone());
  absl::SleepFor(absl::Milliseconds(300));  // until it waits for the thread
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  absl::SleepFor(absl::Milliseconds(300));  // until the server has heard of it too
  gate.Open();
  write.join();
  server_->Shutdown(absl::Seconds(60));
  EXPECT_TRUE(engine_->ListOperations("").empty());
}

// The thread that receives chunks receives everything else too.
TEST_F(CodebooksServiceTest, ChunksOfAnImportAreTakenByThreadsForWrites) {
  Gate gate;
  ServeThroughGate(gate);
  Create("words", kDimension);
  ASSERT_TRUE(UpsertRows("words", 0, rows_).ok());
  std::thread write = HoldUpWrites(gate, "words", 0);
  v1::ImportCodebookRequest nameless;
  nameless.set_chunk("a");
  std::atomic<bool> answered{false};
  std::thread import([&] {
    grpc::ClientContext context;
    v1::Operation operation;
    const auto stream = codebooks_->Import(&context, &operation);
    EXPECT_TRUE(stream->Write(nameless));
    const CallError error(stream->Finish());
    answered = true;
    EXPECT_EQ(error.field, "collection_name");
  });
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_FALSE(answered);
  gate.Open();
  write.join();
  import.join();
}

TEST_F(CodebooksServiceTest, AnExportThatIsCancelledWhileItWaitsReadsNothing) {
  Gate gate;
  ServeThroughGate(gate);
  Create("words", kDimension);
  ASSERT_TRUE(UpsertRows("words", 0, rows_).ok());
  TrainByCall();
  std::thread write = HoldUpWrites(gate, "words", 0);
  const int reads = codebook_reads_;
  grpc::ClientContext context;
  v1::ExportCodebookRequest request;
  request.set_collection_name("words");
  const auto stream = codebooks_->Export(&context, request);
  absl::SleepFor(absl::Milliseconds(300));  // until it waits for the thread
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  absl::SleepFor(absl::Milliseconds(300));  // until the server has heard of it too
  gate.Open();
  write.join();
  server_->Shutdown(absl::Seconds(60));
  EXPECT_EQ(codebook_reads_, reads);
}

TEST_F(CodebooksServiceTest, RefusesBadImports) {
  TrainByCall();
  grpc::Status status;
  const std::string bytes = Export("words", &status);
  v1::Operation operation;
  EXPECT_EQ(CallError(Import("", bytes, &operation)).field, "collection_name");
  EXPECT_EQ(CallError(Import("words", "", &operation)).field, "chunk");
  EXPECT_EQ(CallError(Import("nowhere", bytes, &operation)).resource, "collection");
  std::string damaged = bytes;
  damaged[damaged.size() / 2] ^= 1;
  EXPECT_EQ(Import("words", damaged, &operation).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Import("words", bytes.substr(0, bytes.size() - 1), &operation).error_code(),
            grpc::StatusCode::DATA_LOSS);
  Create("narrow", kDimension / 2);
  EXPECT_EQ(Import("narrow", bytes, &operation).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(engine_->GetCollection("words")->codebook_version, 1u);
}

TEST_F(CodebooksServiceTest, RefusesWhatItCannotDo) {
  Create("empty", kDimension);
  v1::TrainRequest train;
  train.set_collection_name("empty");
  v1::Operation operation;
  const CallError few(Call(*codebooks_, &v1::Codebooks::Stub::Train, train, &operation));
  EXPECT_EQ(few.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(few.reason, "TOO_FEW_POINTS");
  train.set_nlist(limits::kListsMax + 1);
  EXPECT_EQ(CallError(Call(*codebooks_, &v1::Codebooks::Stub::Train, train, &operation)).field,
            "nlist");

  v1::GetCodebookRequest get;
  get.set_collection_name("words");
  v1::Codebook codebook;
  EXPECT_EQ(CallError(Call(*codebooks_, &v1::Codebooks::Stub::Get, get, &codebook)).reason,
            "CODEBOOK_NOT_TRAINED");
  grpc::Status status;
  Export("nowhere", &status);
  EXPECT_EQ(CallError(status).resource, "collection");

  v1::EncodeRequest encode;
  encode.set_collection_name("words");
  encode.mutable_vectors()->add_values(1);
  v1::EncodeResponse encoded;
  EXPECT_EQ(CallError(Call(*codebooks_, &v1::Codebooks::Stub::Encode, encode, &encoded)).field,
            "vectors.values");
  v1::DecodeRequest decode;
  decode.set_collection_name("words");
  v1::DecodeResponse decoded;
  EXPECT_EQ(CallError(Call(*codebooks_, &v1::Codebooks::Stub::Decode, decode, &decoded)).field,
            "codes.lists");
}

TEST_F(CodebooksServiceTest, OperationsThatAreNotThere) {
  v1::GetOperationRequest get;
  v1::Operation operation;
  EXPECT_EQ(CallError(Call(*operations_, &v1::Operations::Stub::Get, get, &operation)).field,
            "operation_id");
  get.set_operation_id("nothing");
  EXPECT_EQ(CallError(Call(*operations_, &v1::Operations::Stub::Get, get, &operation)).resource,
            "operation");
  v1::CancelOperationRequest cancel;
  cancel.set_operation_id("nothing");
  EXPECT_EQ(CallError(Call(*operations_, &v1::Operations::Stub::Cancel, cancel, &operation)).code,
            grpc::StatusCode::NOT_FOUND);
  grpc::ClientContext context;
  v1::WatchOperationRequest watch;
  watch.set_operation_id("nothing");
  const auto stream = operations_->Watch(&context, watch);
  EXPECT_FALSE(stream->Read(&operation));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace tessera
