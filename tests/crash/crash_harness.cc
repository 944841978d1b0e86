#include "tests/crash/crash_harness.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/ivf/list_balance.h"
#include "server/fsck/fsck.h"
#include "tests/integration/requests.h"

namespace tessera {
namespace {

constexpr char kCollection[] = "crash";
constexpr char kCopy[] = "copy";
constexpr int kWriters = 3;
constexpr size_t kSearchesThroughLists = 30;
constexpr absl::Duration kListWorkComes = absl::Seconds(5);
constexpr absl::Duration kSplitEnds = absl::Seconds(20);

}  // namespace

CrashHarness::CrashHarness(uint64_t seed, v1::VectorPlacement placement)
    : random_(seed), settings_(kCollection) {
  for (int i = 0; i < kWriters; ++i) {
    writers_.push_back(std::make_unique<CrashWriter>(i, kCollection, random_()));
  }
  Start(true);
  if (testing::Test::HasFatalFailure()) return;
  v1::CreateCollectionRequest request;
  request.set_collection_name(kCollection);
  request.set_dimension(CrashWriter::kDimension);
  request.set_metric(v1::L2);
  request.mutable_index()->set_vectors(placement);
  EXPECT_OK(client().CreateCollection(request).status());
}

void CrashHarness::Start(bool wait) {
  ASSERT_OK_AND_ASSIGN(
      server_, ServerProcess::Start({.data_dir = folder_.path(), .wait_until_serving = wait}));
}

void CrashHarness::Restart() { Start(true); }

void CrashHarness::Train() { ASSERT_OK(TrainAndWait(client(), kCollection).status()); }

void CrashHarness::Stop() {
  ASSERT_OK_AND_ASSIGN(const int exit_code, server_->Terminate());
  EXPECT_EQ(exit_code, 0);
}

CrashHarness::Met CrashHarness::met() const {
  Met met = met_;
  for (const auto& writer : writers_) {
    met.requests_acknowledged += writer->requests_acknowledged();
    met.requests_lost += writer->requests_lost();
    met.requests_kept += writer->requests_kept();
    met.lost_repeated += writer->lost_repeated();
    met.kept_repeated += writer->kept_repeated();
    met.large_deletions += writer->large_deletions();
  }
  met.settings_acknowledged = settings_.changes_acknowledged();
  return met;
}

absl::StatusOr<v1::Operation> CrashHarness::StartBeside(Beside beside) {
  if (beside == Beside::kTraining || beside == Beside::kActivation) {
    return StartCodebookChange(beside == Beside::kTraining);
  }
  if (beside == Beside::kSnapshot) return client().CreateSnapshot(kCollection);
  v1::RestoreSnapshotRequest restore;
  restore.set_snapshot_id(snapshot_id_);
  restore.set_collection_name(kCopy);
  return client().RestoreSnapshot(restore);
}

// Trains a codebook, or activates another one that is kept.
absl::StatusOr<v1::Operation> CrashHarness::StartCodebookChange(bool train) {
  ASSIGN_OR_RETURN(v1::ListCodebooksResponse list, client().ListCodebooks(kCollection));
  if (!train && list.codebooks_size() < 2) {
    RETURN_IF_ERROR(TrainAndWait(client(), kCollection).status());
    ASSIGN_OR_RETURN(list, client().ListCodebooks(kCollection));
  }
  std::vector<uint32_t> others;
  uint32_t newest = 0;
  for (const v1::Codebook& codebook : list.codebooks()) {
    newest = std::max(newest, codebook.version());
    if (codebook.current()) {
      codebook_before_ = codebook.version();
    } else {
      others.push_back(codebook.version());
    }
  }
  codebook_trained_ = train;
  if (!train) {
    codebook_after_ = others[Random(others.size())];
    return client().ActivateCodebook(kCollection, codebook_after_);
  }
  // Or a higher version: an attempt that was killed has taken one.
  codebook_after_ = newest + 1;
  // A collection keeps a few.
  for (size_t i = 0; i + 2 < others.size(); ++i) {
    RETURN_IF_ERROR(client().DeleteCodebook(kCollection, others[i]));
  }
  v1::TrainRequest request;
  request.set_collection_name(kCollection);
  request.set_nlist(static_cast<uint32_t>(16 + Random(200)));
  return client().Train(request);
}

bool CrashHarness::SleepBeside(const absl::StatusOr<v1::Operation>& operation, bool met_before,
                               absl::Duration longest) {
  EXPECT_OK(operation.status());
  // Early moments more often than late ones, when the operation may have ended; and until one kill
  // has met it, the earliest.
  const double part = met_before ? static_cast<double>(Random(1'000)) / 1'000 : 0;
  absl::SleepFor(part * part * longest);
  const auto now = client().GetOperation(operation.ok() ? operation->operation_id() : "");
  return now.ok() && now->state() == v1::RUNNING;
}

bool CrashHarness::ListsAskFor(Beside beside) {
  v1::GetListStatisticsRequest request;
  request.set_collection_name(kCollection);
  request.set_page_size(10'000);
  const auto lists = client().GetListStatistics(request);
  if (!lists.ok() || lists->nlist() == 0) return false;
  if (beside == Beside::kSplit) {
    return lists->points_max() > ListSizeMax(lists->points(), lists->nlist());
  }
  return std::any_of(lists->lists().begin(), lists->lists().end(), [](const auto& list) {
    const uint64_t entries = list.points() + list.dead_entries();
    return list.dead_entries() * 100 > entries * limits::kListDeadPercentMax;
  });
}

bool CrashHarness::AwaitListWork(Beside beside) {
  const absl::Time deadline = absl::Now() + kListWorkComes;
  while (!ListsAskFor(beside)) {
    if (absl::Now() > deadline || !server_->running()) return false;
  }
  // A compaction takes no longer than a look at the lists.
  if (beside == Beside::kCompaction) return true;
  if (met_.splits_killed > 0) absl::SleepFor(absl::Microseconds(Random(30'000)));
  return ListsAskFor(beside);
}

// A restart goes on with lists that are too long. Some cannot be made shorter.
void CrashHarness::ExpectSplitGoesOn() {
  if (!std::exchange(split_killed_, false)) return;
  const absl::Time deadline = absl::Now() + kSplitEnds;
  while (ListsAskFor(Beside::kSplit)) {
    if (absl::Now() > deadline) return;
    absl::SleepFor(absl::Milliseconds(5));
  }
  ++met_.splits_resumed;
}

void CrashHarness::WriteAndKill(Beside beside) {
  if (beside == Beside::kSplit) Drift();
  writers_[0]->SetOnlyStreams(beside == Beside::kSplit);
  if (beside == Beside::kDeletion) writers_[1]->DeleteManySoon();
  const size_t deletions = writers_[1]->large_deletions();
  const size_t answers = writers_[1]->large_deletions_answered();
  std::atomic<size_t> acknowledged = 0;
  std::vector<std::thread> threads;
  for (auto& writer : writers_) {
    threads.emplace_back([&] { writer->Run(client(), acknowledged); });
  }
  threads.emplace_back([&] { settings_.Run(client()); });
  const size_t enough = 10 + Random(40);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (acknowledged < enough && absl::Now() < deadline && server_->running()) {
    absl::SleepFor(absl::Microseconds(200));
  }
  if (beside == Beside::kSplit || beside == Beside::kCompaction) {
    const bool met = AwaitListWork(beside);
    split_killed_ = met && beside == Beside::kSplit;
    (beside == Beside::kSplit ? met_.splits_killed : met_.compactions_killed) += met;
  } else if (beside == Beside::kDeletion) {
    // Until one kill has met a removal, when one has surely begun.
    const bool met_before = met_.removals_killed > 0;
    while ((met_before ? writers_[1]->large_deletions() == deletions
                       : writers_[1]->large_deletions_answered() == answers) &&
           absl::Now() < deadline) {
      absl::SleepFor(absl::Microseconds(200));
    }
    if (met_before) absl::SleepFor(absl::Microseconds(Random(60'000)));
  } else {
    if (beside != Beside::kNothing) {
      size_t& count = beside == Beside::kTraining     ? met_.trainings
                      : beside == Beside::kActivation ? met_.activations
                      : beside == Beside::kSnapshot   ? met_.snapshots
                                                      : met_.restores;
      count += SleepBeside(StartBeside(beside), count > 0, absl::Milliseconds(150));
    }
    absl::SleepFor(absl::Microseconds(Random(10'000)));
  }
  EXPECT_TRUE(server_->running()) << "it died by itself\n" << server_->LogTail();
  server_->Kill();
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(acknowledged, enough) << "there was too little traffic for the cycle to show anything";
  for (auto& writer : writers_) {
    EXPECT_EQ(writer->last_error().code(), absl::StatusCode::kUnavailable) << writer->last_error();
  }
  EXPECT_EQ(settings_.last_error().code(), absl::StatusCode::kUnavailable)
      << settings_.last_error();
  const auto report = CheckDataDirectory(folder_.path(), nullptr);
  ASSERT_OK(report.status());
  EXPECT_TRUE(report->ok()) << report->findings[0].where << ": " << report->findings[0].what;
  // Nothing else leaves any beside a deletion.
  met_.removals_killed += beside == Beside::kDeletion && report->leftover_records > 0;
}

void CrashHarness::KillDuringRecovery() {
  for (int i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(Start(false));
    absl::SleepFor(absl::Microseconds(Random(60'000)));
    server_->Kill();
    ++met_.recoveries;
  }
}

void CrashHarness::TakeKnownSnapshot() {
  ASSERT_OK_AND_ASSIGN(const v1::Operation started, client().CreateSnapshot(kCollection));
  ASSERT_OK_AND_ASSIGN(const v1::Operation made,
                       client().WaitOperation(started.operation_id(), nullptr));
  const std::string old = std::exchange(snapshot_id_, made.snapshot_id());
  snapshot_points_.clear();
  for (const auto& writer : writers_) snapshot_points_.push_back(writer->points());
  snapshot_metadata_ = settings_.metadata();
  if (!old.empty()) {
    ASSERT_OK(client().DeleteSnapshot(old));
  }
}

bool CrashHarness::HoldsExactly(const std::vector<PointVersions>& expected,
                                std::map<std::string, v1::Point> stored) const {
  for (size_t i = 0; i < writers_.size(); ++i) {
    if (!writers_[i]->TakeAndCompare(expected[i], stored).ok()) return false;
  }
  return stored.empty();
}

void CrashHarness::RestoreInPlaceAndKill() {
  v1::RestoreSnapshotRequest restore;
  restore.set_snapshot_id(snapshot_id_);
  restore.set_replace(true);
  met_.restores_in_place += SleepBeside(client().RestoreSnapshot(restore),
                                        met_.restores_in_place > 0, absl::Milliseconds(150));
  server_->Kill();
  ASSERT_NO_FATAL_FAILURE(Start(true));
  ASSERT_OK_AND_ASSIGN(const auto stored, ScrollAll(client(), kCollection, 1'000, true));
  ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().GetCollection(kCollection));
  std::vector<PointVersions> before;
  for (const auto& writer : writers_) before.push_back(writer->points());
  if (HoldsExactly(before, stored) && collection.metadata() == settings_.metadata()) return;
  ASSERT_TRUE(HoldsExactly(snapshot_points_, stored))
      << "neither what was there nor what was restored, but " << stored.size() << " points";
  ASSERT_EQ(collection.metadata(), snapshot_metadata_) << "of another state than the points";
  for (size_t i = 0; i < writers_.size(); ++i) writers_[i]->SetPoints(snapshot_points_[i]);
  settings_.SetMetadata(snapshot_metadata_);
}

// A restore that was killed: its collection is what the snapshot has, or is not there.
void CrashHarness::ExpectCopyWholeOrAbsent() {
  const auto copy = client().GetCollection(kCopy);
  if (absl::IsNotFound(copy.status())) return;
  ASSERT_OK(copy.status());
  ASSERT_OK_AND_ASSIGN(const auto stored, ScrollAll(client(), kCopy, 1'000, true));
  EXPECT_TRUE(HoldsExactly(snapshot_points_, stored)) << stored.size() << " points";
  ASSERT_OK(client().DeleteCollection(kCopy));
}

// Snapshots that a kill met are whole or not there.
void CrashHarness::ExpectSnapshotsWhole() {
  ASSERT_OK_AND_ASSIGN(const v1::ListSnapshotsResponse list, client().ListSnapshots({}));
  bool known = snapshot_id_.empty();
  for (const v1::Snapshot& snapshot : list.snapshots()) {
    EXPECT_EQ(snapshot.damage(), "");
    if (snapshot.snapshot_id() == snapshot_id_) {
      known = true;
      continue;
    }
    ASSERT_OK_AND_ASSIGN(const v1::Operation verify,
                         client().VerifySnapshot(snapshot.snapshot_id()));
    ASSERT_OK(client().WaitOperation(verify.operation_id(), nullptr).status());
    ASSERT_OK(client().DeleteSnapshot(snapshot.snapshot_id()));
  }
  EXPECT_TRUE(known) << "the known snapshot is gone";
}

void CrashHarness::ExpectEverythingThere() {
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
  ASSERT_OK(settings_.Reconcile(collection));
  ASSERT_NO_FATAL_FAILURE(ExpectOneCodebook(collection));
  ASSERT_NO_FATAL_FAILURE(ExpectSplitGoesOn());
  ASSERT_NO_FATAL_FAILURE(ExpectGetFindsThem());
  ASSERT_NO_FATAL_FAILURE(ExpectSearchFindsThem(collection));
  ASSERT_NO_FATAL_FAILURE(ExpectCopyWholeOrAbsent());
  ASSERT_NO_FATAL_FAILURE(ExpectSnapshotsWhole());
}

// The codebook in use is the one before the change that a kill met or the one after it, and every
// point has its code of it, once.
void CrashHarness::ExpectOneCodebook(const v1::Collection& collection) {
  const uint32_t version = collection.codebook_version();
  if (const uint32_t after = std::exchange(codebook_after_, 0); after != 0) {
    const bool switched = codebook_trained_ ? version >= after : version == after;
    EXPECT_TRUE(version == codebook_before_ || switched)
        << "version " << version << " is neither " << codebook_before_ << " nor " << after;
    met_.switched += switched;
  }
  if (version == 0) return;
  ++met_.checks_of_codebooks;
  ASSERT_OK_AND_ASSIGN(const v1::Codebook codebook, client().GetCodebook(kCollection, 0));
  EXPECT_EQ(codebook.version(), version);
  const std::string hash = std::exchange(codebook_hash_, codebook.content_hash());
  met_.splits += std::exchange(codebook_version_, version) == version && codebook_hash_ != hash;
  const std::vector<float> query(CrashWriter::kDimension, 0.0f);
  v1::SearchRequest request = MakeSearch(kCollection, query, 1);
  request.mutable_params()->set_nprobe(codebook.nlist());
  request.set_explain(true);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
  EXPECT_EQ(response.explanation().codes_scanned(), collection.points());
}

// Get, for every number that a writer may have used.
void CrashHarness::ExpectGetFindsThem() {
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
void CrashHarness::ExpectSearchFindsThem(const v1::Collection& collection) {
  uint32_t lists = 1;
  if (collection.codebook_version() != 0) {
    ASSERT_OK_AND_ASSIGN(const v1::Codebook codebook, client().GetCodebook(kCollection, 0));
    lists = codebook.nlist();
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
  for (const bool exact : {true, false}) {
    if (!exact) {  // a few are enough: all points of all lists are compared with each
      ids.resize(std::min(ids.size(), kSearchesThroughLists));
      queries.resize(ids.size() * CrashWriter::kDimension);
    }
    v1::SearchRequest request = MakeSearch(kCollection, queries, 1);
    request.mutable_params()->set_exact(exact);
    request.mutable_params()->set_nprobe(lists);
    request.mutable_params()->set_rerank(kWriters * CrashWriter::kPoints);
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

}  // namespace tessera
