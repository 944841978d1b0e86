// Codebooks that rotate residuals before they quantize them, through training, restarts, writes and
// the wire form.
#include <algorithm>
#include <cmath>

#include "index/codebook/codebook.h"
#include "tests/index/low_rank.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 64;
constexpr size_t kPoints = 3'000;
constexpr size_t kLimit = 10;

class EngineRotation : public EngineFixture {
 protected:
  static Matrix Rows(size_t n, uint32_t seed) {
    return test::LowRank(n, kDimension, 12, 0.01f, seed);
  }

  void CreateWith(const std::string& name, Metric metric, VectorPlacement placement) {
    CollectionSpec spec;
    spec.name = name;
    spec.dimension = kDimension;
    spec.metric = metric;
    spec.index.vectors = placement;
    spec.index.subquantizers = 8;
    ASSERT_TRUE(engine_->CreateCollection(spec).ok());
  }
  bool IsRotated(const std::string& name) {
    const auto bytes = engine_->ExportCodebook(name, 0);
    const auto codebook = Codebook::Parse(bytes.ok() ? *bytes : "");
    EXPECT_TRUE(codebook.ok()) << codebook.status();
    return codebook.ok() && !(*codebook)->rotation().is_none();
  }
  // How many of the exact nearest a search of all lists finds; those of codes alone are fewer.
  double Recall(const std::string& name) {
    const Matrix queries = Rows(30, 77);
    const SearchResult exact = Search(name, queries, kLimit, /*exact=*/true);
    const SearchResult found = Search(name, queries, kLimit, /*exact=*/false, /*nprobe=*/1'000);
    size_t hits = 0;
    for (size_t q = 0; q < queries.rows(); ++q) {
      const std::vector<uint64_t> expected = Ids(exact.hits[q]);
      for (uint64_t id : Ids(found.hits[q])) {
        hits += std::find(expected.begin(), expected.end(), id) != expected.end();
      }
    }
    return static_cast<double>(hits) / static_cast<double>(kLimit * queries.rows());
  }
  // What a search by codes alone answers, scores and all.
  std::vector<std::pair<uint64_t, float>> ByCodes(const std::string& name) {
    SearchRequest request;
    const Matrix queries = Rows(5, 78);
    request.collection = name;
    request.vectors = FloatView(queries);
    request.limit = kLimit;
    request.no_rerank = true;
    const auto result = engine_->Search(request);
    EXPECT_TRUE(result.ok()) << result.status();
    std::vector<std::pair<uint64_t, float>> hits;
    for (const auto& row : result->hits) {
      for (const Hit& hit : row) hits.emplace_back(std::get<uint64_t>(hit.id), hit.score);
    }
    return hits;
  }
};

TEST_F(EngineRotation, LivesWithTheCollection) {
  for (Metric metric : {Metric::kL2, Metric::kCosine}) {
    for (VectorPlacement placement : {VectorPlacement::kMemory, VectorPlacement::kDisk}) {
      CreateWith("c", metric, placement);
      ASSERT_TRUE(UpsertRows("c", 0, Rows(kPoints, 1)).ok());
      Train("c", 30);
      EXPECT_TRUE(IsRotated("c"));
      EXPECT_GT(Recall("c"), 0.97);
      // Written after the training, and replaced.
      ASSERT_TRUE(UpsertRows("c", kPoints - 200, Rows(600, 2)).ok());
      EXPECT_GT(Recall("c"), 0.97);
      const auto before = ByCodes("c");
      Reopen();
      EXPECT_TRUE(IsRotated("c"));
      EXPECT_EQ(ByCodes("c"), before);
      ASSERT_TRUE(engine_->DeleteCollection("c").ok());
    }
  }
}

TEST_F(EngineRotation, GoesWithTheWireForm) {
  CreateWith("c", Metric::kL2, VectorPlacement::kMemory);
  ASSERT_TRUE(UpsertRows("c", 0, Rows(kPoints, 1)).ok());
  Train("c", 30);
  const auto bytes = engine_->ExportCodebook("c", 0);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  CreateWith("d", Metric::kL2, VectorPlacement::kMemory);
  ASSERT_TRUE(UpsertRows("d", 0, Rows(kPoints, 1)).ok());
  const auto imported = Await(engine_->ImportCodebook("d", *bytes));
  ASSERT_TRUE(imported.ok()) << imported.status();
  ASSERT_EQ(imported->state, OperationState::kSucceeded) << imported->error;
  EXPECT_EQ(ByCodes("d"), ByCodes("c"));
  EXPECT_EQ(*engine_->ExportCodebook("d", 0), *bytes);

  const Matrix rows = Rows(20, 3);
  const auto codes = engine_->Encode("c", FloatView(rows));
  ASSERT_TRUE(codes.ok()) << codes.status();
  const auto decoded = engine_->Decode("d", *codes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  double error = 0, length = 0;
  for (size_t i = 0; i < rows.rows() * kDimension; ++i) {
    error += std::pow((*decoded)[i] - rows.data()[i], 2);
    length += std::pow(rows.data()[i], 2);
  }
  EXPECT_LT(error, 0.1 * length);
}

}  // namespace
}  // namespace tessera
