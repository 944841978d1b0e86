// kill -9 in the middle of everything: nothing that was acknowledged is lost, and what was not is
// there whole or not at all. A process that is killed leaves what it wrote with the kernel, so this
// shows that acknowledgements come after the write to the log and that recovery is right; that the
// log is synced as well is the store's own tests' matter.
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/crash_writer.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"

namespace tessera {
namespace {

constexpr char kCollection[] = "crash";
constexpr int kCycles = 24;
constexpr int kWriters = 3;

// What runs beside the writers when the server is killed.
enum class Kind { kLoad, kTraining, kRecovery };

class CrashTest : public testing::TestWithParam<v1::VectorPlacement> {
 protected:
  void SetUp() override {
    // TESSERA_CRASH_SEED repeats a run as far as the scheduler allows.
    const char* given = std::getenv("TESSERA_CRASH_SEED");
    seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
    std::cout << "seed " << seed_ << std::endl;
    random_.seed(seed_);
    for (int i = 0; i < kWriters; ++i) {
      writers_.push_back(std::make_unique<CrashWriter>(i, kCollection, random_()));
    }
    ASSERT_NO_FATAL_FAILURE(Start(true));
    v1::CreateCollectionRequest request;
    request.set_collection_name(kCollection);
    request.set_dimension(CrashWriter::kDimension);
    request.set_metric(v1::L2);
    request.mutable_index()->set_vectors(GetParam());
    ASSERT_OK(client().CreateCollection(request).status());
  }

  void Start(bool wait) {
    ASSERT_OK_AND_ASSIGN(
        server_, ServerProcess::Start({.data_dir = folder_.path(), .wait_until_serving = wait}));
  }

  Client& client() { return server_->client(); }

  uint64_t Random(uint64_t below) { return random_() % below; }

  // Lets the writers write, kills the server under them, and joins them.
  void WriteAndKill(Kind kind) {
    std::atomic<size_t> acknowledged = 0;
    std::vector<std::thread> threads;
    for (auto& writer : writers_) {
      threads.emplace_back([&] { writer->Run(client(), acknowledged); });
    }
    const size_t enough = 10 + Random(40);
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    const auto wait_for = [&](size_t requests) {
      while (acknowledged < requests && absl::Now() < deadline && server_->running()) {
        absl::SleepFor(absl::Microseconds(200));
      }
    };
    wait_for(enough);
    if (kind == Kind::kTraining) {
      v1::TrainRequest train;
      train.set_collection_name(kCollection);
      train.set_nlist(static_cast<uint32_t>(16 + Random(200)));
      const absl::StatusOr<v1::Operation> operation = client().Train(train);
      EXPECT_OK(operation.status());
      absl::SleepFor(absl::Milliseconds(Random(150)));
      const auto now = client().GetOperation(operation.ok() ? operation->operation_id() : "");
      trainings_killed_ += now.ok() && now->state() == v1::RUNNING;
    }
    absl::SleepFor(absl::Microseconds(Random(10'000)));
    EXPECT_TRUE(server_->running()) << "it died by itself\n" << server_->LogTail();
    server_->Kill();
    for (std::thread& thread : threads) thread.join();
    EXPECT_GE(acknowledged, enough)
        << "there was too little traffic for the cycle to show anything";
    for (auto& writer : writers_) {
      EXPECT_EQ(writer->last_error().code(), absl::StatusCode::kUnavailable)
          << writer->last_error();
    }
  }

  // Kills the server a few times while it starts, then lets it start.
  void KillDuringRecovery() {
    for (int i = 0; i < 3; ++i) {
      ASSERT_NO_FATAL_FAILURE(Start(false));
      absl::SleepFor(absl::Microseconds(Random(60'000)));
      server_->Kill();
    }
  }

  void ExpectEverythingThere() {
    ASSERT_OK_AND_ASSIGN(auto stored, ScrollAll(client(), kCollection, 1'000, true));
    const size_t total = stored.size();
    size_t expected = 0;
    for (auto& writer : writers_) {
      ASSERT_OK(writer->Reconcile(stored));
      expected += writer->points().size();
    }
    EXPECT_TRUE(stored.empty()) << stored.begin()->first << " belongs to nobody";
    EXPECT_EQ(total, expected);
    ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints(kCollection));
    EXPECT_EQ(count, expected);
    ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().GetCollection(kCollection));
    EXPECT_EQ(collection.points(), expected);
    EXPECT_NE(collection.state(), v1::TRAINING);
    ASSERT_NO_FATAL_FAILURE(ExpectGetFindsThem());
    ASSERT_NO_FATAL_FAILURE(ExpectSearchFindsThem(collection));
  }

  // Get, for every number that a writer may have used.
  void ExpectGetFindsThem() {
    for (const auto& writer : writers_) {
      v1::GetPointsRequest request;
      request.set_collection_name(kCollection);
      for (uint64_t point = 0; point < CrashWriter::kPoints; ++point) {
        const v1::PointId id = writer->Id(point);
        if (id.kind_case() == v1::PointId::kNum) {
          request.mutable_ids()->add_num(id.num());
        } else {
          request.mutable_ids()->add_str(id.str());
        }
      }
      request.set_with_vectors(true);
      ASSERT_OK_AND_ASSIGN(const v1::GetPointsResponse response, client().GetPoints(request));
      ASSERT_EQ(response.points_size(), static_cast<int>(writer->points().size()));
      int at = 0;
      for (const auto& [point, version] : writer->points()) {
        const v1::Point& got = response.points(at++);
        ASSERT_EQ(IdText(got.id()), IdText(writer->Id(point)));
        ASSERT_EQ(got.vector().data(), MakeVectors(writer->PointVector(point, version)).data());
      }
    }
  }

  // Points are their own nearest neighbours, exactly and through the inverted lists.
  void ExpectSearchFindsThem(const v1::Collection& collection) {
    uint32_t lists = 1;
    if (collection.codebook_version() != 0) {
      ASSERT_OK_AND_ASSIGN(const v1::Codebook codebook, client().GetCodebook(kCollection, 0));
      EXPECT_EQ(codebook.version(), collection.codebook_version());
      lists = codebook.nlist();
      ++trained_checks_;
    }
    std::vector<std::string> ids;
    std::vector<float> queries;
    for (const auto& writer : writers_) {
      for (const auto& [point, version] : writer->points()) {
        if ((point + version) % 37 != 0) continue;
        ids.push_back(IdText(writer->Id(point)));
        const std::vector<float> vector = writer->PointVector(point, version);
        queries.insert(queries.end(), vector.begin(), vector.end());
      }
    }
    for (const bool exact : {false, true}) {
      v1::SearchRequest request = MakeSearch(kCollection, queries, 1);
      request.mutable_params()->set_exact(exact);
      request.mutable_params()->set_nprobe(lists);
      request.mutable_params()->set_rerank(500);
      ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
      ASSERT_EQ(response.results_size(), static_cast<int>(ids.size()));
      for (size_t i = 0; i < ids.size(); ++i) {
        const v1::SearchResult& result = response.results(static_cast<int>(i));
        ASSERT_EQ(result.hits_size(), 1);
        EXPECT_EQ(IdText(result.hits(0).id()), ids[i]) << (exact ? "exact" : "through lists");
        EXPECT_NEAR(result.hits(0).score(), 0, 1e-5);
      }
    }
  }

  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  TempFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  std::vector<std::unique_ptr<CrashWriter>> writers_;
  size_t trainings_killed_ = 0;
  size_t trained_checks_ = 0;
};

TEST_P(CrashTest, NoAcknowledgedWriteIsLost) {
  for (int cycle = 0; cycle < kCycles / 2; ++cycle) {
    SCOPED_TRACE(absl::StrCat("cycle ", cycle, ", seed ", seed_));
    const Kind kind = cycle % 4 == 1   ? Kind::kTraining
                      : cycle % 4 == 3 ? Kind::kRecovery
                                       : Kind::kLoad;
    if (cycle == 2) {
      // From here on writes are encoded as they come.
      ASSERT_OK(TrainAndWait(client(), kCollection).status());
    }
    ASSERT_NO_FATAL_FAILURE(WriteAndKill(kind));
    if (kind == Kind::kRecovery) {
      ASSERT_NO_FATAL_FAILURE(KillDuringRecovery());
    }
    ASSERT_NO_FATAL_FAILURE(Start(true));
    ASSERT_NO_FATAL_FAILURE(ExpectEverythingThere());
    if (HasFailure()) break;
  }
  size_t requests = 0;
  size_t lost = 0;
  size_t kept = 0;
  for (const auto& writer : writers_) {
    requests += writer->requests_acknowledged();
    lost += writer->requests_lost();
    kept += writer->requests_kept();
  }
  std::cout << requests << " requests acknowledged; of those in flight at a kill " << kept
            << " were written and " << lost << " were not; " << trainings_killed_
            << " trainings killed" << std::endl;
  EXPECT_GT(trainings_killed_, 0u) << "no kill met a training";
  EXPECT_GT(trained_checks_, 0u) << "no restart met a codebook";
  EXPECT_GT(lost + kept, 0u) << "no kill met a request in flight";
  ASSERT_OK_AND_ASSIGN(const int exit_code, server_->Terminate());
  EXPECT_EQ(exit_code, 0);
}

INSTANTIATE_TEST_SUITE_P(Placements, CrashTest, testing::Values(v1::MEMORY, v1::DISK),
                         [](const auto& info) { return v1::VectorPlacement_Name(info.param); });

}  // namespace
}  // namespace tessera
