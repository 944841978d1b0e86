// What searches find, as the engine itself verifies it.
#include <functional>

#include "absl/time/clock.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 24;
constexpr size_t kPoints = 6'000;
constexpr size_t kQueries = 200;

class EngineVerifyTest : public EngineFixture {
 protected:
  void SetUp() override {
    engine_options_.verify_core_share = 1;  // without a rest
    EngineFixture::SetUp();
  }
  void Fill(const std::string& name, VectorPlacement placement = VectorPlacement::kMemory) {
    Create(name, kDimension, Metric::kL2, ElementType::kFloat32, placement);
    ASSERT_TRUE(UpsertRows(name, 0, ClusteredRows(kPoints, kDimension, 1)).ok());
    Train(name, 100);
  }
  std::optional<VerifiedRecallInfo> Verified(const std::string& name = "c") {
    return engine_->GetCollection(name)->verified;
  }
  uint32_t SearchesVerified(const std::string& name = "c") {
    return Verified(name).has_value() ? Verified(name)->searches : 0;
  }
  static bool Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 3'000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(10));
    return condition();
  }
  SearchRequest RequestFor(size_t query, uint32_t nprobe) const {
    SearchRequest request;
    request.collection = "c";
    request.vectors = FloatView(queries_).Rows(query, 1);
    request.nprobe = nprobe;
    return request;
  }
  // Of all queries, against exact answers.
  double RecallAt(uint32_t nprobe) {
    const SearchResult found = Search("c", queries_, 10, /*exact=*/false, nprobe);
    const SearchResult truth = Search("c", queries_, 10, /*exact=*/true);
    size_t hits = 0;
    for (size_t q = 0; q < kQueries; ++q) {
      const std::vector<uint64_t> ids = Ids(truth.hits[q]);
      const std::set<uint64_t> nearest(ids.begin(), ids.end());
      for (const uint64_t id : Ids(found.hits[q])) hits += nearest.contains(id);
    }
    return static_cast<double>(hits) / static_cast<double>(10 * kQueries);
  }

  Matrix queries_ = ClusteredRows(kQueries, kDimension, 2);
};

TEST_F(EngineVerifyTest, TellsTheRecallThatSearchesHave) {
  Fill("c");
  EXPECT_FALSE(Verified().has_value());
  // As many as a mean wants, one after the other and in batches.
  size_t query = 0;
  EXPECT_TRUE(Becomes([&] {
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_TRUE(engine_->Search(RequestFor(query++ % kQueries, 1)).ok());
    }
    Search("c", queries_, 10, /*exact=*/false, 1);
    return SearchesVerified() >= 300;
  }));
  const VerifiedRecallInfo verified = *Verified();
  const double recall = RecallAt(1);
  EXPECT_LT(recall, 0.9);
  EXPECT_GT(verified.standard_error, 0);
  EXPECT_LT(verified.standard_error, 0.03);
  EXPECT_NEAR(verified.recall, recall, 5 * verified.standard_error);
  // Those that ask for a recall count as they are answered.
  Train("c", 100);
  EXPECT_FALSE(Verified().has_value()) << "what another codebook found";
  EXPECT_TRUE(Becomes([&] {
    SearchRequest request = RequestFor(query++ % kQueries, 0);
    request.target_recall = 0.99;
    EXPECT_TRUE(engine_->Search(request).ok());
    return SearchesVerified() >= 100;
  }));
  EXPECT_GE(Verified()->recall, 0.96);
}

TEST_F(EngineVerifyTest, LeavesOutWhatTellsNothingOrCostsTooMuch) {
  Fill("c");
  Fill("disk", VectorPlacement::kDisk);
  SearchRequest exact = RequestFor(0, 0);
  exact.exact = true;
  SearchRequest by_code = RequestFor(0, 1);
  by_code.no_rerank = true;
  SearchRequest on_disk = RequestFor(0, 1);
  on_disk.collection = "disk";
  for (const SearchRequest& request : {exact, by_code, on_disk}) {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(engine_->Search(request).ok());
  }
  // No more are verified than there are of these.
  SearchRequest stored = RequestFor(0, 1);
  stored.vectors = {};
  stored.ids = {PointId(uint64_t{7})};
  uint32_t searches = 0;
  EXPECT_TRUE(Becomes([&] {
    EXPECT_TRUE(engine_->Search(stored).ok());
    ++searches;
    return SearchesVerified() > 0;
  }));
  EXPECT_LE(SearchesVerified(), searches);
  EXPECT_FALSE(Verified("disk").has_value());
}

TEST_F(EngineVerifyTest, EndsWhileSearchesAndDeletionsGoOn) {
  Fill("c");
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_TRUE(engine_->Search(RequestFor(i, 1)).ok());
    EXPECT_TRUE(engine_->DeletePoints("c", {PointId(i)}, {}).ok());
  }
  EXPECT_TRUE(engine_->DeleteCollection("c").ok());
  Reopen();
  EXPECT_FALSE(engine_->GetCollection("c").ok());
}

TEST_F(EngineVerifyTest, IsOffUnlessAskedFor) {
  engine_options_.verify_core_share = 0;
  Reopen();
  Fill("c");
  for (size_t i = 0; i < 50; ++i) EXPECT_TRUE(engine_->Search(RequestFor(i, 1)).ok());
  EXPECT_FALSE(Verified().has_value());
}

}  // namespace
}  // namespace tessera
