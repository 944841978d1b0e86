// A server that is stopped and started again answers the same, without training again.
#include <atomic>
#include <memory>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/error_details.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

constexpr size_t kQueries = 100;
constexpr char kWords[] = "words";
constexpr char kBusy[] = "busy";

// Writes one point after the other, and searches, until the server ends.
class LightLoad {
 public:
  explicit LightLoad(Client& client)
      : writer_([this, &client] { Write(client); }), reader_([this, &client] { Read(client); }) {}

  // Waits for the threads; the ids of all points whose write was acknowledged.
  std::set<std::string> Join() {
    writer_.join();
    reader_.join();
    return acknowledged_;
  }

  size_t writes() const { return writes_.load(); }
  const absl::Status& write_error() const { return write_error_; }
  const absl::Status& read_error() const { return read_error_; }

 private:
  void Write(Client& client) {
    for (uint64_t id = 0;; ++id) {
      const size_t row = id % GetWordNet().rows();
      write_error_ =
          client.Upsert(MakeUpsert(kBusy, MakePointId(id), GetWordNet().Floats(row))).status();
      if (!write_error_.ok()) return;
      acknowledged_.insert(absl::StrCat(id));
      writes_.fetch_add(1);
    }
  }

  void Read(Client& client) {
    for (size_t q = 0; read_error_.ok(); q = (q + 1) % kQueries) {
      read_error_ = client.Search(MakeSearch(kWords, GetWordNet().Query(q), 10)).status();
    }
  }

  std::atomic<size_t> writes_{0};
  std::set<std::string> acknowledged_;  // the writer's until it is joined
  absl::Status write_error_;
  absl::Status read_error_;
  std::thread writer_;
  std::thread reader_;
};

class RestartTest : public testing::TestWithParam<v1::VectorPlacement> {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_OK(CreateWordNet(client(), kWords, GetParam()));
    ASSERT_OK(LoadWordNet(client(), kWords, 0, GetWordNet().rows() - 500));
    ASSERT_OK(TrainAndWait(client(), kWords).status());
    // Points that were encoded one by one, replaced and deleted are read back as well.
    ASSERT_OK(LoadWordNet(client(), kWords, GetWordNet().rows() - 1'000, GetWordNet().rows()));
    const std::vector<uint64_t> gone = {5, 50, 500, 24'999};
    ASSERT_OK(client().DeletePoints(MakeDelete(kWords, gone)).status());
    ASSERT_OK(CreateWordNet(client(), kBusy, GetParam()));
  }

  void Start() {
    ASSERT_OK_AND_ASSIGN(server_, ServerProcess::Start({.data_dir = folder_.path()}));
  }

  Client& client() { return server_->client(); }

  // All that a user can see of the collection, as text that can be compared.
  absl::StatusOr<std::string> Fingerprint() {
    std::string text;
    for (const char* mode : {"default", "exact", "codes"}) {
      v1::SearchRequest request = MakeSearch(
          kWords, std::span(GetWordNet().queries).first(kQueries * GetWordNet().dimension), 10);
      request.mutable_params()->set_exact(mode == std::string("exact"));
      request.mutable_params()->set_no_rerank(mode == std::string("codes"));
      request.mutable_with_payload()->set_enable(true);
      ASSIGN_OR_RETURN(const v1::SearchResponse response, client().Search(request));
      absl::StrAppend(&text, mode, "\n", response.DebugString());
    }
    ASSIGN_OR_RETURN(const v1::ListCodebooksResponse codebooks, client().ListCodebooks(kWords));
    ASSIGN_OR_RETURN(v1::Collection collection, client().GetCollection(kWords));
    collection.clear_memory_bytes();  // grows by doubling, so the way there shows
    collection.clear_disk_bytes();
    absl::StrAppend(&text, codebooks.DebugString(), collection.DebugString());
    return text;
  }

  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_P(RestartTest, AnswersAreTheSameAfterATermination) {
  ASSERT_OK_AND_ASSIGN(const std::string before, Fingerprint());
  LightLoad load(client());
  while (load.writes() < 50 && server_->running()) absl::SleepFor(absl::Milliseconds(1));
  ASSERT_OK_AND_ASSIGN(const int exit_code, server_->Terminate());
  const std::set<std::string> acknowledged = load.Join();
  EXPECT_EQ(exit_code, 0) << server_->LogTail();
  // Whoever was told no was told why.
  EXPECT_EQ(load.write_error().code(), absl::StatusCode::kUnavailable) << load.write_error();
  EXPECT_EQ(load.read_error().code(), absl::StatusCode::kUnavailable) << load.read_error();

  const absl::Time start = absl::Now();
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  ASSERT_OK_AND_ASSIGN(const std::string after, Fingerprint());
  EXPECT_EQ(before, after);
  ASSERT_OK_AND_ASSIGN(const v1::ListOperationsResponse operations, client().ListOperations(""));
  EXPECT_EQ(operations.operations_size(), 0) << "nothing was trained";

  ASSERT_OK_AND_ASSIGN(const auto points, ScrollAll(client(), kBusy, 1'000, false));
  for (const std::string& id : acknowledged) EXPECT_TRUE(points.contains(id)) << id;
  // The answer to one write may have been lost on the way.
  EXPECT_LE(points.size(), acknowledged.size() + 1);
}

TEST_P(RestartTest, AnswersAreTheSameAfterAKill) {
  ASSERT_OK_AND_ASSIGN(const std::string before, Fingerprint());
  server_->Kill();
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_OK_AND_ASSIGN(const std::string after, Fingerprint());
  EXPECT_EQ(before, after);
}

TEST_P(RestartTest, ATerminationEndsATrainingAndExitsCleanly) {
  ASSERT_OK_AND_ASSIGN(const std::string before, Fingerprint());
  v1::TrainRequest request;
  request.set_collection_name(kWords);
  request.set_nlist(8'000);
  ASSERT_OK(client().Train(request).status());
  absl::SleepFor(absl::Milliseconds(100));
  ASSERT_OK_AND_ASSIGN(const int exit_code, server_->Terminate());
  EXPECT_EQ(exit_code, 0) << server_->LogTail();
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_OK_AND_ASSIGN(const std::string after, Fingerprint());
  ASSERT_OK_AND_ASSIGN(const v1::Collection words, client().GetCollection(kWords));
  if (words.codebook_version() == 1) {
    EXPECT_EQ(before, after);
    return;
  }
  // A quick machine had finished the training before it was told to stop: then all of it counts.
  EXPECT_EQ(words.codebook_version(), 2u);
  ASSERT_OK(server_->Terminate().status());
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_OK_AND_ASSIGN(const std::string again, Fingerprint());
  EXPECT_EQ(after, again);
}

INSTANTIATE_TEST_SUITE_P(Placements, RestartTest,
                         testing::Values(v1::MEMORY, v1::DISK, v1::DISK_SQ8),
                         [](const auto& info) { return v1::VectorPlacement_Name(info.param); });

}  // namespace
}  // namespace tessera
