// Bounds of exact distances by codes, and the scans that rely on them: whatever the metric, the
// code and the data, no exact distance lies outside of its bounds and no vector within a radius is
// passed over.
#include "index/ivf/range_scan.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "index/ivf/code_bounds.h"
#include "index/ivf/code_errors.h"
#include "tests/index/ivf/ivf_test_util.h"
#include "tests/index/low_rank.h"

namespace tessera {
namespace {

using test::ExactScan;

struct Case {
  Metric metric;
  uint32_t dim;
  uint32_t subquantizers;
  uint32_t nbits;
  float scale = 1;  // of the vectors
  float shift = 0;  // of all components: data far from the origin
  size_t rank = 0;  // of vectors in few directions, which are rotated; 0: random ones
};

std::string NameOf(const Case& c) {
  return absl::StrCat("metric ", static_cast<int>(c.metric), ", ", c.dim, " components, ",
                      c.subquantizers, " x ", c.nbits, ", scale ", c.scale, ", shift ", c.shift,
                      ", rank ", c.rank);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    for (uint32_t nbits : {4u, 8u}) {
      cases.push_back({metric, 24, 6, nbits});
      cases.push_back({metric, 19, 7, nbits});  // the last parts are padded
      cases.push_back({metric, 8, 8, nbits});
    }
    cases.push_back({metric, 3, 1, 4});
    cases.push_back({metric, 96, 48, 4});
    cases.push_back({metric, 24, 6, 4, 1e-6f});
    cases.push_back({metric, 24, 6, 4, 1e6f});
    cases.push_back({metric, 24, 6, 4, 1, 1000});
    cases.push_back({metric, 24, 6, 4, 1e17f});   // numbers of which floats hold no squares
    cases.push_back({metric, 24, 6, 4, 1e-22f});  // squares underflow
    for (float scale : {1.0f, 1e-6f, 1e6f, 1e17f, 1e-22f}) {
      cases.push_back({metric, 48, 6, 4, scale, 0, 5});
    }
    cases.push_back({metric, 48, 6, 8, 1, 0, 5});
    cases.push_back({metric, 48, 6, 4, 1, 1000, 5});
  }
  return cases;
}

class Index {
 public:
  Index(const Case& c, size_t rows) : Index(c, Vectors(c, rows, 1)) {}
  Index(const Case& c, Matrix&& vectors) : metric_(c.metric), vectors_(std::move(vectors)) {
    const size_t rows = vectors_.rows();
    codebook_ = test::TrainCodebook(c.metric, vectors_, 30, c.subquantizers, c.nbits);
    lists_ = std::make_unique<InvertedLists>(codebook_);
    // Packed, then appended to: whole blocks, and partly filled ones that lie elsewhere.
    const size_t packed = rows - rows / 10;
    Append(0, packed);
    for (size_t row = packed; row < rows; row += 7) Append(row, std::min<size_t>(7, rows - row));
    snapshot_ = lists_->Snapshot();
  }

  static Matrix Vectors(const Case& c, size_t rows, uint32_t seed) {
    Matrix vectors = c.rank > 0 ? test::LowRank(rows, c.dim, c.rank, 0.02f, seed)
                                : test::RandomVectors(rows, c.dim, seed);
    for (size_t i = 0; i < rows * c.dim; ++i) {
      vectors.data()[i] = c.scale * vectors.data()[i] + c.shift;
    }
    return vectors;
  }

  // Slots within `radius` by scanning codes, and of them those that their codes are certain of.
  void Range(std::span<const float> query, float radius, const SlotSet& deleted,
             std::set<Slot>* found, std::set<Slot>* certain, size_t* compared) const {
    const CodeBounds bounds(*snapshot_, query);
    const ExactScorer scorer(metric_, ElementType::kFloat32, query);
    IvfSearchStats stats;
    const RangeVisitor visitor = [&](std::span<const RangeCandidate> candidates, float*) {
      for (const RangeCandidate& candidate : candidates) {
        EXPECT_FALSE(deleted.Contains(candidate.slot));
        const float distance = Distance(scorer, candidate.slot);
        EXPECT_GE(distance, candidate.bounds.lower);
        EXPECT_LE(distance, candidate.bounds.upper);
        if (distance <= radius) {
          EXPECT_TRUE(found->insert(candidate.slot).second);
        }
        if (candidate.bounds.upper <= radius) certain->insert(candidate.slot);
      }
      *compared += candidates.size();
      return absl::OkStatus();
    };
    ASSERT_TRUE(ScanRange(*snapshot_, bounds, radius, deleted, visitor, &stats).ok());
  }

  float Distance(const ExactScorer& scorer, Slot slot) const {
    const auto* row = reinterpret_cast<const std::byte*>(vectors_.row(slot).data());
    float distance;
    scorer.Score(&row, 1, &distance);
    return distance;
  }

  Metric metric() const { return metric_; }
  const Matrix& vectors() const { return vectors_; }
  const ListsSnapshot& snapshot() const { return *snapshot_; }
  std::shared_ptr<const ListsSnapshot> shared_snapshot() const { return snapshot_; }

  // Lets the first ten centroids move to vectors, and replaces all entries.
  void MoveCentroids() {
    std::vector<uint32_t> all(codebook_->nlist());
    std::iota(all.begin(), all.end(), 0);
    const std::vector<uint32_t> moved(all.begin(), all.begin() + 10);
    Matrix centroids(moved.size(), vectors_.cols());
    codebook_->Prepare(vectors_.view().Rows(0, moved.size()), centroids.data());
    codebook_ = codebook_->WithCentroids(moved, centroids);
    lists_->UseTables(std::make_shared<const SearchTables>(codebook_));
    lists_->Replace(all, test::Encode(*codebook_, vectors_), test::Iota(vectors_.rows(), 0).data());
    snapshot_ = lists_->Snapshot();
  }

 private:
  void Append(size_t first, size_t count) {
    lists_->Append(test::Encode(*codebook_, vectors_.view().Rows(first, count)),
                   test::Iota(count, static_cast<Slot>(first)).data());
  }

  Metric metric_;
  Matrix vectors_;
  std::shared_ptr<const Codebook> codebook_;
  std::unique_ptr<InvertedLists> lists_;
  std::shared_ptr<const ListsSnapshot> snapshot_;
};

TEST(CodeErrors, AreRoundedUpAndNoMore) {
  CodeErrors errors;
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-30, 30);
  for (Slot slot = 0; slot < 5000; ++slot) {
    const float error = slot == 0 ? 0 : std::exp2(exponent(random));
    errors.Set(slot, error);
    EXPECT_GE(errors.Get(slot), error);
    EXPECT_LE(errors.Get(slot), error * (1 + 1.0f / 128));
  }
  EXPECT_GE(errors.memory_bytes(), 10'000u);
  EXPECT_LE(errors.memory_bytes(), 20'000u);
  for (float none : {-1.0f, std::nanf(""), std::numeric_limits<float>::max()}) {
    errors.Set(7, none);
    EXPECT_EQ(errors.Get(7), std::numeric_limits<float>::infinity());
  }
}

TEST(CodeErrors, ShrinksAndGrowsAgain) {
  CodeErrors errors;
  constexpr Slot kSlots = 50'000, kKept = 3'000;
  for (Slot slot = 0; slot < kSlots; ++slot) errors.Set(slot, 2);
  EXPECT_EQ(errors.memory_bytes(), kSlots * 2);
  errors.Shrink(kKept);
  EXPECT_EQ(errors.memory_bytes(), kKept * 2);
  for (Slot slot = 0; slot < kKept; ++slot) ASSERT_EQ(errors.Get(slot), 2);
  EXPECT_EQ(errors.Get(kSlots - 5'000), 0) << "its memory is still there";
  for (Slot slot = kKept; slot < kSlots; ++slot) errors.Set(slot, 4);
  for (Slot slot = kKept; slot < kSlots; ++slot) ASSERT_EQ(errors.Get(slot), 4);
}

TEST(CodeErrors, ARaisedOneNeverFalls) {
  CodeErrors errors;
  errors.Set(3, 2);
  errors.Raise(3, 1);
  EXPECT_EQ(errors.Get(3), 2);
  errors.Raise(3, 4);
  EXPECT_EQ(errors.Get(3), 4);
  errors.Set(3, 1);  // of another point
  EXPECT_EQ(errors.Get(3), 1);
}

// Entries are replaced by codes that lie nearer to their vectors, while a search holds the old
// ones.
TEST(CodeBounds, HoldBeforeAndAfterEntriesAreReplaced) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(NameOf(c));
    Index index(c, 600);
    const auto before = index.shared_snapshot();
    index.MoveCentroids();
    const Matrix queries = Index::Vectors(c, 4, 2);
    for (size_t q = 0; q < queries.rows(); ++q) {
      const ExactScorer scorer(c.metric, ElementType::kFloat32, queries.row(q));
      for (const ListsSnapshot* lists : {before.get(), &index.snapshot()}) {
        const CodeBounds bounds(*lists, queries.row(q));
        for (Slot slot = 0; slot < 600; ++slot) {
          const float distance = index.Distance(scorer, slot);
          const DistanceBounds b = bounds.OfSlot(slot, 0);
          ASSERT_LE(b.lower, distance) << q << " " << slot;
          ASSERT_GE(b.upper, distance) << q << " " << slot;
        }
      }
    }
  }
}

TEST(CodeBounds, HoldTheExactDistance) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(NameOf(c));
    const Index index(c, 600);
    Matrix queries = Index::Vectors(c, 6, 2);
    std::fill_n(queries.row(5).data(), c.dim, 0.0f);
    std::copy_n(index.vectors().row(17).data(), c.dim, queries.row(4).data());
    double width = 0, magnitude = 0;
    for (size_t q = 0; q < queries.rows(); ++q) {
      const CodeBounds bounds(index.snapshot(), queries.row(q));
      const ExactScorer scorer(c.metric, ElementType::kFloat32, queries.row(q));
      for (Slot slot = 0; slot < 600; ++slot) {
        const float distance = index.Distance(scorer, slot);
        // A hint that is wrong costs time only.
        const DistanceBounds b = bounds.OfSlot(slot, slot % 40);
        ASSERT_LE(b.lower, distance) << q << " " << slot;
        ASSERT_GE(b.upper, distance) << q << " " << slot;
        width += double{b.upper} - b.lower;
        magnitude += std::abs(distance);
      }
    }
    // They say something, but where nothing can be said.
    if (c.scale > 1e-10f && c.scale < 1e10f && c.dim > 3) {
      EXPECT_LT(width, (c.shift == 0 ? 4 : 400) * magnitude);
    }
  }
}

TEST(CodeBounds, HoldTheExactDistanceOfRealVectors) {
  constexpr size_t kRows = 25'000, kUsed = 3'000;
  const Matrix all = test::ReadWordNet("vectors.npy", ElementType::kFloat16, kRows, 128);
  const Matrix queries = test::ReadWordNet("queries.npy", ElementType::kFloat32, 500, 128);
  for (Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    for (const auto& [m, nbits] : {std::pair{16u, 4u}, {32u, 4u}, {64u, 4u}, {32u, 8u}}) {
      const Case c{metric, 128, m, nbits};
      SCOPED_TRACE(NameOf(c));
      Matrix vectors(kUsed, 128);
      std::copy_n(all.data(), kUsed * 128, vectors.data());
      const Index index(c, std::move(vectors));
      for (size_t q = 0; q < 500; q += 25) {
        const CodeBounds bounds(index.snapshot(), queries.row(q));
        const ExactScorer scorer(metric, ElementType::kFloat32, queries.row(q));
        for (Slot slot = 0; slot < kUsed; slot += 11) {
          const float distance = index.Distance(scorer, slot);
          const DistanceBounds b = bounds.OfSlot(slot, 0);
          ASSERT_LE(b.lower, distance) << q << " " << slot;
          ASSERT_GE(b.upper, distance) << q << " " << slot;
          ASSERT_LT(b.upper - b.lower, 6.0f);
        }
        std::set<Slot> found, certain, truth;
        size_t compared = 0;
        const auto nearest = ExactScan(metric, index.vectors(), queries.row(q), 40);
        for (const Neighbor& neighbor : nearest) truth.insert(neighbor.slot);
        index.Range(queries.row(q), nearest.back().distance, {}, &found, &certain, &compared);
        ASSERT_TRUE(std::includes(found.begin(), found.end(), truth.begin(), truth.end()));
        ASSERT_TRUE(std::includes(found.begin(), found.end(), certain.begin(), certain.end()));
      }
    }
  }
}

TEST(CodeBounds, OfASlotThatIsNotThereAreInfinite) {
  const Index index({Metric::kL2, 8, 4, 4}, 300);
  const CodeBounds bounds(index.snapshot(), index.vectors().row(0));
  EXPECT_EQ(bounds.OfSlot(300, 0).upper, std::numeric_limits<float>::infinity());
  EXPECT_EQ(bounds.OfSlot(300, 0).lower, -std::numeric_limits<float>::infinity());
}

TEST(RangeScan, MissesNothing) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(NameOf(c));
    const Index index(c, 2000);
    SlotSet deleted;
    std::set<Slot> without;
    for (Slot slot = 0; slot < 2000; slot += 9) {
      deleted.Insert(slot);
      without.insert(slot);
    }
    const Matrix queries = Index::Vectors(c, 4, 2);
    for (size_t q = 0; q < queries.rows(); ++q) {
      const auto all = ExactScan(c.metric, index.vectors(), queries.row(q), 2000, without);
      for (size_t rank : {size_t{0}, size_t{3}, size_t{50}, size_t{700}, all.size() - 1}) {
        const float radius = all[rank].distance;
        std::set<Slot> truth, found, certain;
        for (const Neighbor& neighbor : all) {
          if (neighbor.distance <= radius) truth.insert(neighbor.slot);
        }
        size_t compared = 0;
        index.Range(queries.row(q), radius, deleted, &found, &certain, &compared);
        EXPECT_EQ(found, truth) << rank;
        EXPECT_TRUE(std::includes(truth.begin(), truth.end(), certain.begin(), certain.end()));
      }
    }
  }
}

TEST(RangeScan, ComparesFewWhereCodesTell) {
  for (Metric metric : {Metric::kL2, Metric::kInnerProduct, Metric::kCosine}) {
    const Index index({metric, 24, 12, 8}, 4000);
    const Matrix queries = Index::Vectors({metric, 24, 12, 8}, 10, 2);
    size_t within = 0, compared = 0, known = 0;
    for (size_t q = 0; q < queries.rows(); ++q) {
      const auto all = ExactScan(metric, index.vectors(), queries.row(q), 4000);
      std::set<Slot> found, certain;
      index.Range(queries.row(q), all[150].distance, {}, &found, &certain, &compared);
      within += found.size();
      known += certain.size();
    }
    EXPECT_GE(within, 1510u);
    EXPECT_LT(compared, 20'000u) << static_cast<int>(metric);
    EXPECT_GT(known, 0u) << static_cast<int>(metric);
  }
}

TEST(RangeScan, FollowsARadiusThatShrinks) {
  const Index index({Metric::kL2, 24, 12, 8}, 4000);
  const auto all = ExactScan(Metric::kL2, index.vectors(), index.vectors().row(5), 4000);
  const CodeBounds bounds(index.snapshot(), index.vectors().row(5));
  const float wanted = all[9].distance;
  IvfSearchStats stats;
  std::set<Slot> met;
  const RangeVisitor visitor = [&](std::span<const RangeCandidate> candidates, float* farthest) {
    for (const RangeCandidate& candidate : candidates) met.insert(candidate.slot);
    *farthest = wanted;
    return absl::OkStatus();
  };
  ASSERT_TRUE(ScanRange(index.snapshot(), bounds, all.back().distance, {}, visitor, &stats).ok());
  for (size_t i = 0; i < 10; ++i) EXPECT_TRUE(met.contains(all[i].slot)) << i;
  EXPECT_LT(met.size(), 2000u);
  EXPECT_LT(stats.lists_scanned, 30u);
  const RangeVisitor failing = [](std::span<const RangeCandidate>, float*) {
    return absl::DataLossError("gone");
  };
  EXPECT_TRUE(absl::IsDataLoss(
      ScanRange(index.snapshot(), bounds, all.back().distance, {}, failing, &stats)));
}

}  // namespace
}  // namespace tessera
