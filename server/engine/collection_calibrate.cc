// Calibration: how deep searches must go for the recall that they ask for, measured.
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/base/top_k.h"
#include "index/ivf/lists_snapshot.h"
#include "index/simd/convert.h"
#include "index/simd/exact.h"
#include "index/tune/measure_recall.h"
#include "server/engine/collection.h"
#include "server/engine/draw_evenly.h"
#include "server/engine/errors.h"
#include "server/engine/search_parts.h"

namespace tessera {
namespace {

// Bytes of vectors that all queries together are compared with, about: some seconds' worth. That is
// as many queries, within these bounds.
constexpr uint64_t kComparedBytes = 50'000'000'000;
constexpr uint64_t kQueriesLeast = 128;
constexpr uint64_t kQueriesMost = 1'000;
// Of the points that were held back from training, so many that are left tell more than others.
constexpr uint64_t kHeldBackLeast = 100;
// Fewer queries of points that have come since the training tell nothing of them.
constexpr uint64_t kNewerLeast = 10;
// Vectors that all queries are compared with before the next are read: from a disk they come once.
constexpr size_t kStepBytes = size_t{64} << 20;
// Queries that one thread compares with them in one go.
constexpr size_t kQueriesAtOnce = 64;
// A calibration with points serves until there are so many times as many, while writes come or
// else.
constexpr uint64_t kOutgrownBusy = 4;
constexpr uint64_t kOutgrownQuiet = 2;
constexpr absl::Duration kRetryPause = absl::Minutes(10);
constexpr size_t kNeighborsMost = RecallSurface::kNeighbors.back();

// Cancels once go_on() is false.
class UntilStopped final : public ProgressObserver {
 public:
  explicit UntilStopped(const std::function<bool()>& go_on) : go_on_(go_on) {}
  bool OnProgress(const char*, size_t, size_t) override { return go_on_(); }

 private:
  const std::function<bool()>& go_on_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Calibration>> Collection::MeasureCalibration(
    const CollectionView& view, const MeasuredLists& measured, const CalibrationQueries& queries,
    ProgressObserver& observer) const {
  const std::vector<Slot> live = view.LiveSlots(measured.slot_end);
  if (live.size() < 2) return nullptr;
  MatrixView vectors = queries.given;
  Matrix stored;
  std::vector<Slot> own;
  if (vectors.rows == 0) {
    own = ChooseQueries(live, queries.held_back);
    ASSIGN_OR_RETURN(stored, FloatsOf(&own));
    vectors = stored.view().Rows(0, own.size());
  }
  std::vector<std::vector<Slot>> nearest(vectors.rows);
  RETURN_IF_ERROR(TrueNeighbors(view, measured.slot_end, vectors, observer, nearest));
  for (size_t q = 0; q < own.size(); ++q) std::erase(nearest[q], own[q]);
  bool has_neighbors = false;
  for (std::vector<Slot>& near : nearest) {
    near.resize(std::min(near.size(), kNeighborsMost));
    has_neighbors = has_neighbors || !near.empty();
  }
  if (!has_neighbors) return nullptr;  // deleted meanwhile
  ASSIGN_OR_RETURN(RecallSurface surface,
                   MeasureRecall(*measured.lists, *view.dead, live.size(), {vectors, nearest, own},
                                 executor_, &observer));
  return std::make_shared<Calibration>(Calibration{measured.codebook_version,
                                                   absl::ToUnixMillis(absl::Now()), !own.empty(),
                                                   queries.held_back, std::move(surface)});
}

// Points that the codebook has been trained on are found more easily than queries are: centroids
// have come to lie near them and their neighbours. So those that were held back are taken; and, as
// they may be unlike those, points that have come since, as many as is their share of all.
std::vector<Slot> Collection::ChooseQueries(std::span<const Slot> live,
                                            std::span<const Slot> held_back) const {
  std::vector<Slot> chosen;
  for (const Slot slot : held_back) {
    if (std::binary_search(live.begin(), live.end(), slot)) chosen.push_back(slot);
  }
  if (chosen.size() >= std::min<size_t>(live.size(), kHeldBackLeast)) {
    // They were taken from all over the sample: a slot behind the last of them is a newer point's.
    const auto newer = live.subspan(static_cast<size_t>(
        std::upper_bound(live.begin(), live.end(), std::ranges::max(chosen)) - live.begin()));
    const size_t wanted = chosen.size() * newer.size() / live.size();
    if (wanted < kNewerLeast) return chosen;
    const std::vector<Slot> of_newer = DrawEvenly(newer, wanted);
    chosen = DrawEvenly(chosen, chosen.size() - of_newer.size());
    chosen.insert(chosen.end(), of_newer.begin(), of_newer.end());
    return chosen;
  }
  const uint64_t affordable = kComparedBytes / (live.size() * vector_bytes());
  return DrawEvenly(live, std::clamp(affordable, kQueriesLeast, kQueriesMost));
}

// As an exact search orders them. One more than are measured: a query may be stored.
absl::Status Collection::TrueNeighbors(const CollectionView& view, Slot slot_end,
                                       MatrixView queries, ProgressObserver& observer,
                                       std::span<std::vector<Slot>> nearest) const {
  std::vector<ExactScorer> scorers;
  std::vector<TopK> best;
  for (size_t q = 0; q < queries.rows; ++q) {
    scorers.emplace_back(spec_.metric, spec_.element_type, queries.row(q));
    best.emplace_back(kNeighborsMost + 1, ById());
  }
  const auto compare = [&](Slot begin, Slot end, size_t first, size_t last) {
    return CompareLiveRows(view, begin, end, std::span(scorers).subspan(first, last - first),
                           [&](size_t q, std::span<const Slot> slots, const float* distances) {
                             best[first + q].Push(distances, slots.data(), slots.size());
                           });
  };
  const size_t threads = executor_.Parallelism();
  const size_t queries_at_once =
      std::clamp<size_t>((queries.rows + threads - 1) / threads, 1, kQueriesAtOnce);
  const size_t groups = (queries.rows + queries_at_once - 1) / queries_at_once;
  const auto step = static_cast<Slot>(kStepBytes / vector_bytes());
  for (Slot begin = 0; begin < slot_end; begin += std::min(step, slot_end - begin)) {
    if (!observer.OnProgress("comparing", begin, slot_end)) {
      return absl::CancelledError("cancelled while comparing");
    }
    const Slot end = begin + std::min(step, slot_end - begin);
    const size_t bytes = queries_at_once * (end - begin) * vector_bytes();
    RETURN_IF_ERROR(ForEachPart(&executor_, groups, bytes, [&](size_t first, size_t last) {
      return compare(begin, end, first * queries_at_once,
                     std::min(last * queries_at_once, queries.rows));
    }));
  }
  for (size_t q = 0; q < queries.rows; ++q) {
    for (const Neighbor& near : best[q].Take()) nearest[q].push_back(near.slot);
  }
  return absl::OkStatus();
}

absl::StatusOr<Matrix> Collection::CheckCalibrate(VectorsView queries) const {
  if (view()->codebook == nullptr) return NotTrained();
  if (points() < 2) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "TOO_FEW_POINTS",
                           absl::StrCat("collection ", spec_.name, " has ", points(),
                                        " points; a calibration needs two at least"));
  }
  Matrix floats;
  if (queries.rows == 0) return floats;
  if (queries.rows > limits::kCalibrationQueriesMax) {
    return InvalidField("queries", absl::StrCat("has ", queries.rows, " rows, the limit is ",
                                                limits::kCalibrationQueriesMax));
  }
  RETURN_IF_ERROR(WidenVectors(queries, "queries", &floats));
  return floats;
}

absl::Status Collection::Calibrate(const Matrix& queries, ProgressObserver& observer) {
  const std::shared_ptr<const CollectionView> now = view();
  ASSIGN_OR_RETURN(auto calibration, CalibrationOf(*now, queries, observer));
  return KeepCalibration(std::move(calibration), std::nullopt);
}

absl::StatusOr<std::shared_ptr<const Calibration>> Collection::CalibrationOf(
    const CollectionView& view, const Matrix& queries, ProgressObserver& observer) const {
  if (view.codebook == nullptr) return NotTrained();
  CalibrationQueries with = {queries, {}};
  if (view.calibration != nullptr) with.held_back = view.calibration->held_back;
  return MeasureCalibration(view, {view.lists, view.codebook_version, view.slot_end}, with,
                            observer);
}

// In place of the one that there is, unless somebody has made another one meanwhile.
absl::Status Collection::CalibrateAnew(ProgressObserver& observer) {
  const std::shared_ptr<const CollectionView> now = view();
  ASSIGN_OR_RETURN(auto calibration, CalibrationOf(*now, Matrix(), observer));
  return KeepCalibration(std::move(calibration), now->calibration);
}

void Collection::StayCalibrated(absl::Time quiet_since, const std::function<bool()>& go_on) {
  if (dropped_.load() || absl::Now() < calibration_retry_) return;
  const bool quiet = absl::FromUnixMillis(last_write_ms_.load()) < quiet_since;
  if (!IsCalibrationDue(quiet)) return;
  UntilStopped observer(go_on);
  const absl::Time start = absl::Now();
  const absl::Status status = CalibrateAnew(observer);
  if (absl::IsCancelled(status) || dropped_.load()) return;
  calibration_retry_ = absl::Now() + kRetryPause;
  Log(absl::StrCat("collection ", spec_.name, ": calibrated anew in ",
                   absl::FormatDuration(absl::Now() - start), ": ", status.ToString()));
}

// What was measured with queries of its own is not replaced by what points tell.
bool Collection::IsCalibrationDue(bool quiet) const {
  const std::shared_ptr<const CollectionView> now = view();
  if (now->codebook == nullptr || points() < 2) return false;
  if (now->calibration == nullptr) return true;
  const uint64_t outgrown = quiet ? kOutgrownQuiet : kOutgrownBusy;
  return now->calibration->stored_queries &&
         points() / outgrown >= now->calibration->surface.points();
}

absl::Status Collection::KeepCalibration(
    std::shared_ptr<const Calibration> calibration,
    const std::optional<std::shared_ptr<const Calibration>>& in_place_of) {
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    if (in_place_of.has_value() && calibration_ != *in_place_of) return absl::OkStatus();
    if (calibration == nullptr || calibration->codebook_version != codebook_version_) {
      return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "COLLECTION_CHANGED",
                             absl::StrCat("collection ", spec_.name,
                                          " was trained or emptied while it was calibrated"));
    }
    auto batch = store_.NewBatch();
    PutCalibration(*calibration, *batch);
    RETURN_IF_ERROR(store_.Commit(*batch, Durability::kSync));
    calibration_ = std::move(calibration);
    Publish();
    return absl::OkStatus();
  });
}

void Collection::PutCalibration(const Calibration& calibration, StoreBatch& batch) const {
  const std::string key = CalibrationKey(id_, calibration.codebook_version);
  std::string value;
  EncodeCalibration(key,
                    {calibration.create_time_ms, calibration.stored_queries, calibration.held_back,
                     calibration.surface.Serialize()},
                    &value);
  batch.Put(Family::kMeta, key, value);
}

// What is damaged is as good as not there: it can be measured again.
absl::StatusOr<std::shared_ptr<const Calibration>> Collection::ReadCalibration(
    uint32_t codebook_version) const {
  const std::string key = CalibrationKey(id_, codebook_version);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store_.Get(Family::kMeta, key));
  if (!value.has_value()) return nullptr;
  CalibrationRecord record;
  const absl::Status status = DecodeCalibration(key, *value, &record);
  absl::StatusOr<RecallSurface> surface =
      status.ok() ? RecallSurface::Parse(record.surface) : absl::StatusOr<RecallSurface>(status);
  if (!surface.ok()) {
    Log(absl::StrCat("collection ", spec_.name, ": the calibration of codebook ", codebook_version,
                     " is damaged, and is to be measured again: ", surface.status().message()));
    return nullptr;
  }
  return std::make_shared<Calibration>(
      Calibration{codebook_version, record.create_time_ms, record.stored_queries,
                  std::move(record.held_back), *std::move(surface)});
}

}  // namespace tessera
