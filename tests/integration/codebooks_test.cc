// Codebooks over the wire: operations, versions, export and import, encode and decode.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/error_details.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

constexpr size_t kRows = 6'000;

// A server for each test, with a collection "a" of kRows points that is not trained.
class CodebooksTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = folder_.path()}));
    ASSERT_OK(CreateWordNet(client(), "a"));
    ASSERT_OK(LoadWordNet(client(), "a", 0, kRows));
  }

  Client& client() { return server_->client(); }

  // Answers of all kinds to 100 queries, as bytes that can be compared.
  absl::StatusOr<std::string> Answers(const std::string& collection) {
    std::string answers;
    for (const bool codes_only : {false, true}) {
      v1::SearchRequest request = MakeSearch(
          collection, std::span(GetWordNet().queries).first(100 * GetWordNet().dimension), 10);
      request.mutable_params()->set_no_rerank(codes_only);
      ASSIGN_OR_RETURN(v1::SearchResponse response, client().Search(request));
      response.clear_expected_recall();  // measured anew with a codebook, in each collection
      answers += response.SerializeAsString();
    }
    return answers;
  }

  // A training that takes long enough to be met while it runs.
  absl::StatusOr<v1::Operation> StartLongTraining() {
    v1::TrainRequest request;
    request.set_collection_name("a");
    request.set_nlist(8'000);
    return client().Train(request);
  }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(CodebooksTest, WatchTellsTheProgressUntilTheEnd) {
  v1::TrainRequest request;
  request.set_collection_name("a");
  ASSERT_OK_AND_ASSIGN(const v1::Operation started, client().Train(request));
  EXPECT_EQ(started.kind(), "train");
  EXPECT_EQ(started.collection_name(), "a");
  std::vector<v1::Operation> seen;
  ASSERT_OK_AND_ASSIGN(
      const v1::Operation ended,
      client().WaitOperation(started.operation_id(),
                             [&](const v1::Operation& now) { seen.push_back(now); }));
  ASSERT_GE(seen.size(), 2u);
  for (const v1::Operation& now : seen) {
    EXPECT_EQ(now.operation_id(), started.operation_id());
    EXPECT_FALSE(now.phase().empty());
    EXPECT_LE(now.done(), now.total());
  }
  EXPECT_EQ(seen.front().state(), v1::RUNNING);
  EXPECT_EQ(seen.back().state(), v1::SUCCEEDED);
  EXPECT_EQ(ended.codebook_version(), 1u);
  EXPECT_GE(ended.end_time().seconds(), ended.start_time().seconds());

  ASSERT_OK_AND_ASSIGN(const v1::Operation got, client().GetOperation(started.operation_id()));
  EXPECT_EQ(got.SerializeAsString(), ended.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const v1::ListOperationsResponse list, client().ListOperations("a"));
  ASSERT_EQ(list.operations_size(), 1);
  EXPECT_EQ(list.operations(0).SerializeAsString(), ended.SerializeAsString());
  // An operation that has ended stays as it is.
  ASSERT_OK_AND_ASSIGN(const v1::Operation kept, client().CancelOperation(got.operation_id()));
  EXPECT_EQ(kept.state(), v1::SUCCEEDED);
}

TEST_F(CodebooksTest, ACancelledTrainingLeavesTheCollectionAsItWas) {
  ASSERT_OK(LoadWordNet(client(), "a", kRows, GetWordNet().rows()));
  ASSERT_OK(TrainAndWait(client(), "a").status());
  ASSERT_OK_AND_ASSIGN(const v1::Collection before, client().GetCollection("a"));
  ASSERT_OK_AND_ASSIGN(const v1::ListCodebooksResponse books, client().ListCodebooks("a"));
  ASSERT_OK_AND_ASSIGN(const std::string answers, Answers("a"));

  ASSERT_OK_AND_ASSIGN(const v1::Operation started, StartLongTraining());
  ASSERT_OK_AND_ASSIGN(const v1::Collection during, client().GetCollection("a"));
  EXPECT_EQ(during.state(), v1::TRAINING);
  const absl::Status second = StartLongTraining().status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition) << second;
  EXPECT_EQ(GetErrorDetails(second).reason, "OPERATION_RUNNING");
  ASSERT_OK_AND_ASSIGN(const std::string meanwhile, Answers("a"));
  EXPECT_EQ(meanwhile, answers);
  ASSERT_OK(client().CancelOperation(started.operation_id()).status());
  const absl::Time cancelled = absl::Now();
  const absl::Status ended = client().WaitOperation(started.operation_id(), nullptr).status();
  EXPECT_EQ(ended.code(), absl::StatusCode::kCancelled) << ended;
  EXPECT_LT(absl::Now() - cancelled, absl::Seconds(20));
  ASSERT_OK_AND_ASSIGN(const v1::Operation operation,
                       client().GetOperation(started.operation_id()));
  EXPECT_EQ(operation.state(), v1::CANCELLED);

  ASSERT_OK_AND_ASSIGN(const v1::Collection after, client().GetCollection("a"));
  EXPECT_EQ(after.state(), v1::READY);
  EXPECT_EQ(after.points(), before.points());
  EXPECT_EQ(after.sequence(), before.sequence());
  EXPECT_EQ(after.codebook_version(), before.codebook_version());
  ASSERT_OK_AND_ASSIGN(const v1::ListCodebooksResponse kept, client().ListCodebooks("a"));
  EXPECT_EQ(kept.SerializeAsString(), books.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const std::string same, Answers("a"));
  EXPECT_EQ(same, answers);
}

TEST_F(CodebooksTest, TheSameSeedAndDataGiveTheSameCodebook) {
  for (uint32_t version = 1; version <= 3; ++version) {
    ASSERT_OK_AND_ASSIGN(const v1::Operation ended, TrainAndWait(client(), "a"));
    EXPECT_EQ(ended.codebook_version(), version);
  }
  ASSERT_OK_AND_ASSIGN(const v1::ListCodebooksResponse list, client().ListCodebooks("a"));
  ASSERT_EQ(list.codebooks_size(), 3);
  for (int i = 0; i < list.codebooks_size(); ++i) {
    const v1::Codebook& codebook = list.codebooks(i);
    EXPECT_EQ(codebook.version(), static_cast<uint32_t>(i + 1));
    EXPECT_EQ(codebook.current(), i + 1 == list.codebooks_size());
    EXPECT_EQ(codebook.content_hash(), list.codebooks(0).content_hash());
    EXPECT_GT(codebook.mean_squared_error(), 0);
    EXPECT_EQ(codebook.code_bytes(), (codebook.subquantizers() * codebook.nbits() + 7) / 8);
  }
  // Back to the first, and away with the second.
  ASSERT_OK_AND_ASSIGN(const v1::Operation back, client().ActivateCodebook("a", 1));
  ASSERT_OK(client().WaitOperation(back.operation_id(), nullptr).status());
  ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().GetCollection("a"));
  EXPECT_EQ(collection.codebook_version(), 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(client().DeleteCodebook("a", 1)));
  ASSERT_OK(client().DeleteCodebook("a", 2));
  EXPECT_TRUE(absl::IsNotFound(client().GetCodebook("a", 2).status()));
  v1::TrainRequest other_seed;
  other_seed.set_collection_name("a");
  other_seed.set_seed(98765);
  ASSERT_OK_AND_ASSIGN(const v1::Operation started, client().Train(other_seed));
  ASSERT_OK(client().WaitOperation(started.operation_id(), nullptr).status());
  ASSERT_OK_AND_ASSIGN(const v1::Codebook other, client().GetCodebook("a", 0));
  EXPECT_NE(other.content_hash(), list.codebooks(0).content_hash());
}

TEST_F(CodebooksTest, AnExportedCodebookServesAnotherCollection) {
  ASSERT_OK(TrainAndWait(client(), "a").status());
  ASSERT_OK_AND_ASSIGN(const v1::Codebook original, client().GetCodebook("a", 0));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ExportCodebook(client(), "a"));
  EXPECT_EQ(bytes.size(), original.size_bytes());

  ASSERT_OK(CreateWordNet(client(), "b"));
  ASSERT_OK(LoadWordNet(client(), "b", 0, kRows));
  ASSERT_OK_AND_ASSIGN(const v1::Operation ended, ImportCodebook(client(), "b", bytes));
  EXPECT_EQ(ended.kind(), "import_codebook");
  ASSERT_OK_AND_ASSIGN(const v1::Codebook imported, client().GetCodebook("b", 0));
  EXPECT_EQ(imported.content_hash(), original.content_hash());
  EXPECT_EQ(imported.nlist(), original.nlist());
  EXPECT_EQ(imported.mean_squared_error(), original.mean_squared_error());
  ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().GetCollection("b"));
  EXPECT_EQ(collection.state(), v1::READY);
  ASSERT_OK_AND_ASSIGN(const std::string answers_of_a, Answers("a"));
  ASSERT_OK_AND_ASSIGN(const std::string answers_of_b, Answers("b"));
  EXPECT_EQ(answers_of_a, answers_of_b);
  ASSERT_OK_AND_ASSIGN(const std::string again, ExportCodebook(client(), "b"));
  EXPECT_EQ(again, bytes);
}

TEST_F(CodebooksTest, CodesStandForVectorsWithTheErrorThatIsSaid) {
  ASSERT_OK(TrainAndWait(client(), "a").status());
  ASSERT_OK_AND_ASSIGN(const v1::Codebook codebook, client().GetCodebook("a", 0));
  const size_t n = 200;
  const size_t dimension = GetWordNet().dimension;
  v1::EncodeRequest encode;
  encode.set_collection_name("a");
  *encode.mutable_vectors() = MakeVectors(std::span(GetWordNet().floats).first(n * dimension));
  ASSERT_OK_AND_ASSIGN(const v1::EncodeResponse encoded, client().Encode(encode));
  EXPECT_EQ(encoded.codes().codebook_version(), codebook.version());
  ASSERT_EQ(encoded.codes().lists_size(), static_cast<int>(n));
  ASSERT_EQ(encoded.codes().codes().size(), n * codebook.code_bytes());
  ASSERT_EQ(encoded.errors_size(), static_cast<int>(n));

  v1::DecodeRequest decode;
  decode.set_collection_name("a");
  *decode.mutable_codes() = encoded.codes();
  decode.mutable_codes()->set_codebook_version(0);
  ASSERT_OK_AND_ASSIGN(const v1::DecodeResponse decoded, client().Decode(decode));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> floats, ToFloats(decoded.vectors()));
  ASSERT_EQ(floats.size(), n * dimension);
  double total = 0;
  for (size_t i = 0; i < n; ++i) {
    EXPECT_LT(encoded.codes().lists(static_cast<int>(i)), codebook.nlist());
    const auto vector = GetWordNet().Floats(i);
    double squared = 0;
    for (size_t d = 0; d < dimension; ++d) {
      const double difference = double{vector[d]} - floats[i * dimension + d];
      squared += difference * difference;
    }
    total += squared;
    EXPECT_NEAR(encoded.errors(static_cast<int>(i)), std::sqrt(squared), 1e-4) << i;
  }
  const double mean = total / static_cast<double>(n);
  EXPECT_GT(mean, codebook.mean_squared_error() / 2);
  EXPECT_LT(mean, codebook.mean_squared_error() * 2);
}

TEST_F(CodebooksTest, WritesDuringATrainingAreEncodedByIt) {
  v1::TrainRequest request;
  request.set_collection_name("a");
  ASSERT_OK_AND_ASSIGN(const v1::Operation started, client().Train(request));
  ASSERT_OK(LoadWordNet(client(), "a", kRows, kRows + 2'000));
  const std::vector<uint64_t> gone = {1, 2, 3};
  ASSERT_OK(client().DeletePoints(MakeDelete("a", gone)).status());
  ASSERT_OK(client().WaitOperation(started.operation_id(), nullptr).status());
  ASSERT_OK_AND_ASSIGN(const v1::Codebook codebook, client().GetCodebook("a", 0));
  for (size_t row = 0; row < kRows + 2'000; row += 97) {
    v1::SearchRequest search = MakeSearch("a", GetWordNet().Floats(row), 5);
    search.mutable_params()->set_nprobe(codebook.nlist());
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(search));
    const auto ids = HitIds(response)[0];
    EXPECT_EQ(std::count(ids.begin(), ids.end(), absl::StrCat(row)), 1) << row;
  }
  v1::SearchRequest all = MakeSearch("a", GetWordNet().Floats(2), 10'000);
  all.mutable_params()->set_nprobe(codebook.nlist());
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(all));
  EXPECT_EQ(response.results(0).hits_size(), static_cast<int>(kRows + 2'000 - gone.size()));
}

}  // namespace
}  // namespace tessera
