// The whole line on real vectors: load, search exactly, train, search through lists and codes.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "client/cpp/vectors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

constexpr char kWords[] = "words";
constexpr char kWordsOnDisk[] = "words-on-disk";

// One server with all of WordNet, trained; its tests only read.
class SearchTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder();
    auto server = ServerProcess::Start({.data_dir = folder_->path()});
    ASSERT_OK(server.status());
    server_ = server->release();
    ASSERT_OK(CreateWordNet(client(), kWords));
    ASSERT_OK(CreateWordNet(client(), kWordsOnDisk, v1::DISK));
    for (const char* collection : {kWords, kWordsOnDisk}) {
      ASSERT_OK(LoadWordNet(client(), collection, 0, GetWordNet().rows()));
    }
    ASSERT_OK_AND_ASSIGN(v1::SearchResponse untrained,
                         client().Search(MakeSearch(kWords, GetWordNet().queries, 100)));
    untrained_ = new v1::SearchResponse(std::move(untrained));
    for (const char* collection : {kWords, kWordsOnDisk}) {
      ASSERT_OK(TrainAndWait(client(), collection).status());
    }
  }

  static void TearDownTestSuite() {
    delete untrained_;
    delete server_;
    delete folder_;
    untrained_ = nullptr;
    server_ = nullptr;
    folder_ = nullptr;
  }

  void SetUp() override { ASSERT_NE(untrained_, nullptr) << "the suite could not be set up"; }

  static Client& client() { return server_->client(); }

  static v1::SearchRequest AllQueries(uint32_t limit) {
    return MakeSearch(kWords, GetWordNet().queries, limit);
  }

  static TempFolder* folder_;
  static ServerProcess* server_;
  static v1::SearchResponse* untrained_;  // the 100 nearest of every query, before training
};

// Of a query and the point of a hit, in double precision.
double InnerProduct(size_t query, const v1::ScoredPoint& hit) {
  const auto a = GetWordNet().Query(query);
  const auto b = GetWordNet().Floats(hit.id().num());
  double product = 0;
  for (size_t d = 0; d < a.size(); ++d) product += double{a[d]} * b[d];
  return product;
}

TempFolder* SearchTest::folder_ = nullptr;
ServerProcess* SearchTest::server_ = nullptr;
v1::SearchResponse* SearchTest::untrained_ = nullptr;

TEST_F(SearchTest, ExactSearchBeforeTrainingFindsEveryNeighbour) {
  const WordNet& data = GetWordNet();
  EXPECT_EQ(Recall(*untrained_, data.ground_truth, 10), 1.0);
  EXPECT_EQ(Recall(*untrained_, data.ground_truth, 100), 1.0);
  for (size_t q = 0; q < data.query_count(); ++q) {
    const v1::SearchResult& result = untrained_->results(static_cast<int>(q));
    ASSERT_EQ(result.hits_size(), 100);
    for (int i = 0; i < result.hits_size(); ++i) {
      const v1::ScoredPoint& hit = result.hits(i);
      EXPECT_TRUE(hit.score_is_exact());
      if (i > 0) {
        EXPECT_LE(hit.score(), result.hits(i - 1).score());
      }
      ASSERT_NEAR(hit.score(), InnerProduct(q, hit), 2e-6);
    }
  }
}

TEST_F(SearchTest, ExactSearchAfterTrainingAnswersAsBefore) {
  v1::SearchRequest request = AllQueries(100);
  request.mutable_params()->set_exact(true);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse trained, client().Search(request));
  EXPECT_EQ(Recall(trained, GetWordNet().ground_truth, 100), 1.0);
  EXPECT_EQ(trained.SerializeAsString(), untrained_->SerializeAsString());
}

TEST_F(SearchTest, DefaultSettingsReachTheRecallThatIsPromised) {
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(AllQueries(10)));
  const double recall = Recall(response, GetWordNet().ground_truth, 10);
  RecordProperty("recall_at_10", absl::StrCat(recall));
  EXPECT_GE(recall, 0.95);
  for (const v1::SearchResult& result : response.results()) {
    ASSERT_EQ(result.hits_size(), 10);
    for (const v1::ScoredPoint& hit : result.hits()) EXPECT_TRUE(hit.score_is_exact());
  }
}

TEST_F(SearchTest, ADimensionIsEnoughToGetGoodRecall) {
  v1::CreateCollectionRequest request;
  request.set_collection_name("defaults");
  request.set_dimension(static_cast<uint32_t>(GetWordNet().dimension));
  ASSERT_OK_AND_ASSIGN(const v1::Collection created, client().CreateCollection(request));
  EXPECT_EQ(created.metric(), v1::COSINE);
  EXPECT_EQ(created.element_type(), v1::FLOAT32);
  ASSERT_OK(LoadWordNet(client(), "defaults", 0, GetWordNet().rows()));
  ASSERT_OK(TrainAndWait(client(), "defaults").status());
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response,
                       client().Search(MakeSearch("defaults", GetWordNet().queries, 10)));
  EXPECT_GE(Recall(response, GetWordNet().ground_truth, 10), 0.95);
  ASSERT_OK(client().DeleteCollection("defaults"));
}

TEST_F(SearchTest, RecallNeverFallsAsMoreListsAreProbed) {
  ASSERT_OK_AND_ASSIGN(const v1::Codebook codebook, client().GetCodebook(kWords, 0));
  ASSERT_GT(codebook.nlist(), 8u);
  double last = 0;
  double first = 0;
  for (uint32_t nprobe = 1; nprobe < 2 * codebook.nlist(); nprobe *= 2) {
    v1::SearchRequest request = AllQueries(10);
    request.mutable_params()->set_nprobe(std::min(nprobe, codebook.nlist()));
    // So many that a true neighbour which was met is not lost to the codes.
    request.mutable_params()->set_rerank(2'000);
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
    const double recall = Recall(response, GetWordNet().ground_truth, 10);
    EXPECT_GE(recall, last) << "nprobe " << nprobe;
    if (nprobe == 1) first = recall;
    last = recall;
  }
  EXPECT_LT(first, 0.95) << "one list finds nearly everything: the rest of the test shows nothing";
  EXPECT_GE(last, 0.999) << "all lists were probed";
}

TEST_F(SearchTest, RerankingMoreCandidatesFindsMore) {
  double last = 0;
  for (const uint32_t rerank : {10u, 20u, 100u, 1'000u}) {
    v1::SearchRequest request = AllQueries(10);
    request.mutable_params()->set_nprobe(64);
    request.mutable_params()->set_rerank(rerank);
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
    const double recall = Recall(response, GetWordNet().ground_truth, 10);
    EXPECT_GE(recall, last) << "rerank " << rerank;
    last = recall;
  }
}

TEST_F(SearchTest, ScoresByCodesAloneSaySo) {
  v1::SearchRequest request = AllQueries(10);
  request.mutable_params()->set_no_rerank(true);
  request.set_with_bounds(true);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
  double error = 0;
  size_t hits = 0;
  for (int q = 0; q < response.results_size(); ++q) {
    for (const v1::ScoredPoint& hit : response.results(q).hits()) {
      EXPECT_FALSE(hit.score_is_exact());
      EXPECT_LE(hit.bounds().lower(), InnerProduct(static_cast<size_t>(q), hit));
      EXPECT_GE(hit.bounds().upper(), InnerProduct(static_cast<size_t>(q), hit));
      error += std::abs(hit.score() - InnerProduct(static_cast<size_t>(q), hit));
      ++hits;
    }
  }
  ASSERT_GT(hits, 0u);
  EXPECT_LT(error / static_cast<double>(hits), 0.1);
  EXPECT_GT(Recall(response, GetWordNet().ground_truth, 10), 0.3);
}

TEST_F(SearchTest, PayloadsAndVectorsComeBack) {
  v1::SearchRequest request = AllQueries(3);
  request.mutable_with_payload()->set_enable(true);
  request.set_with_vectors(true);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
  ASSERT_EQ(response.results_size(), static_cast<int>(GetWordNet().query_count()));
  for (const v1::SearchResult& result : response.results()) {
    ASSERT_EQ(result.hits_size(), 3);
    for (const v1::ScoredPoint& hit : result.hits()) {
      EXPECT_EQ(hit.payload(), GetWordNet().payloads[hit.id().num()]);
      EXPECT_EQ(hit.vector().data(), GetWordNet().Row(hit.id().num()));
      EXPECT_EQ(hit.vector().element_type(), v1::FLOAT16);
    }
  }
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse bare, client().Search(AllQueries(3)));
  EXPECT_EQ(bare.results(0).hits(0).payload(), "");
  EXPECT_FALSE(bare.results(0).hits(0).has_vector());
}

TEST_F(SearchTest, StoredPointsAreSearchedByIdAndAreNotTheirOwnNeighbours) {
  const std::vector<uint64_t> ids = {20'656, 0, 24'999, 77};
  for (const bool exact : {false, true}) {
    v1::SearchRequest by_id;
    by_id.set_collection_name(kWords);
    *by_id.mutable_ids() = MakePointIds(ids);
    by_id.set_limit(10);
    by_id.mutable_params()->set_exact(exact);
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(by_id));
    ASSERT_EQ(response.results_size(), static_cast<int>(ids.size()));
    for (size_t i = 0; i < ids.size(); ++i) {
      v1::SearchRequest by_vector = MakeSearch(kWords, GetWordNet().Floats(ids[i]), 11);
      by_vector.mutable_params()->set_exact(exact);
      ASSERT_OK_AND_ASSIGN(const v1::SearchResponse all, client().Search(by_vector));
      std::vector<std::string> expected = HitIds(all)[0];
      EXPECT_EQ(std::erase(expected, absl::StrCat(ids[i])), 1u);
      EXPECT_EQ(HitIds(response)[i], expected);
    }
  }
}

TEST_F(SearchTest, QueriesOfOneRequestDoNotInfluenceEachOther) {
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse together, client().Search(AllQueries(10)));
  for (size_t q = 0; q < 40; ++q) {
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse alone,
                         client().Search(MakeSearch(kWords, GetWordNet().Query(q), 10)));
    EXPECT_EQ(HitIds(alone)[0], HitIds(together)[q]);
  }
}

TEST_F(SearchTest, EveryElementTypeOfAQueryGivesTheSameAnswer) {
  const auto query = GetWordNet().Floats(123);
  v1::SearchRequest floats = MakeSearch(kWords, query, 10);
  v1::SearchRequest values = floats;
  values.mutable_vectors()->clear_data();
  values.mutable_vectors()->clear_element_type();
  values.mutable_vectors()->mutable_values()->Add(query.begin(), query.end());
  v1::SearchRequest halves = floats;
  *halves.mutable_vectors() = MakeVectors(GetWordNet().Row(123), ElementType::kFloat16);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse expected, client().Search(floats));
  for (const v1::SearchRequest& request : {values, halves}) {
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
    EXPECT_EQ(response.SerializeAsString(), expected.SerializeAsString());
  }
}

TEST_F(SearchTest, VectorsOnDiskGiveTheSameAnswers) {
  ASSERT_OK_AND_ASSIGN(const v1::Codebook memory, client().GetCodebook(kWords, 0));
  ASSERT_OK_AND_ASSIGN(const v1::Codebook disk, client().GetCodebook(kWordsOnDisk, 0));
  EXPECT_EQ(memory.content_hash(), disk.content_hash());
  for (const char* mode : {"default", "exact", "codes"}) {
    v1::SearchRequest request = AllQueries(10);
    request.mutable_params()->set_exact(mode == std::string("exact"));
    request.mutable_params()->set_no_rerank(mode == std::string("codes"));
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse from_memory, client().Search(request));
    request.set_collection_name(kWordsOnDisk);
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse from_disk, client().Search(request));
    EXPECT_EQ(from_memory.SerializeAsString(), from_disk.SerializeAsString()) << mode;
  }
  ASSERT_OK_AND_ASSIGN(const v1::Collection in_memory, client().GetCollection(kWords));
  ASSERT_OK_AND_ASSIGN(const v1::Collection on_disk, client().GetCollection(kWordsOnDisk));
  const uint64_t vector_bytes = GetWordNet().vectors.size();
  EXPECT_GE(in_memory.memory_bytes(), vector_bytes);
  EXPECT_LT(on_disk.memory_bytes(), vector_bytes);
}

TEST_F(SearchTest, ScrollCoversExactlyTheSet) {
  for (const uint32_t page_size : {0u, 333u, 10'000u}) {
    ASSERT_OK_AND_ASSIGN(const auto points, ScrollAll(client(), kWords, page_size, true));
    ASSERT_EQ(points.size(), GetWordNet().rows());
    for (size_t row = 0; row < GetWordNet().rows(); ++row) {
      const auto point = points.find(absl::StrCat(row));
      ASSERT_NE(point, points.end()) << row;
      EXPECT_EQ(point->second.payload(), GetWordNet().payloads[row]);
      EXPECT_EQ(point->second.vector().data(), GetWordNet().Row(row));
    }
  }
  ASSERT_OK_AND_ASSIGN(const uint64_t count, client().CountPoints(kWords));
  EXPECT_EQ(count, GetWordNet().rows());
}

TEST_F(SearchTest, ScrollGoesInTheOrderOfIds) {
  v1::ScrollRequest request;
  request.set_collection_name(kWords);
  request.set_page_size(10'000);
  uint64_t next = 0;
  do {
    ASSERT_OK_AND_ASSIGN(const v1::ScrollResponse page, client().Scroll(request));
    for (const v1::Point& point : page.points()) EXPECT_EQ(point.id().num(), next++);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(next, GetWordNet().rows());
}

TEST_F(SearchTest, TheCollectionTellsWhatItIs) {
  ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().GetCollection(kWords));
  EXPECT_EQ(collection.dimension(), GetWordNet().dimension);
  EXPECT_EQ(collection.metric(), v1::INNER_PRODUCT);
  EXPECT_EQ(collection.element_type(), v1::FLOAT16);
  EXPECT_EQ(collection.state(), v1::READY);
  EXPECT_EQ(collection.points(), GetWordNet().rows());
  EXPECT_EQ(collection.codebook_version(), 1u);
  EXPECT_GT(collection.sequence(), 0u);
  EXPECT_GT(collection.memory_bytes(), 0u);
  EXPECT_GT(collection.create_time().seconds(), 0);
  const v1::IndexSpec& index = collection.index();
  EXPECT_GT(index.subquantizers(), 0u);
  EXPECT_THAT(index.nbits(), testing::AnyOf(4u, 8u));
  EXPECT_EQ(index.vectors(), v1::MEMORY);
  EXPECT_GT(index.iterations(), 0u);
  EXPECT_GT(index.training_vectors_per_list(), 0u);

  ASSERT_OK_AND_ASSIGN(const v1::ListCollectionsResponse list, client().ListCollections({}));
  ASSERT_EQ(list.collections_size(), 2);
  EXPECT_EQ(list.collections(0).collection_name(), kWords);
  EXPECT_EQ(list.collections(1).collection_name(), kWordsOnDisk);
}

}  // namespace
}  // namespace tessera
