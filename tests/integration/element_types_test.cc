// Every element type with every metric: create, load, search, train, search, against a brute force
// in double precision.
#include <algorithm>
#include <cmath>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

constexpr size_t kPoints = 3'000;
constexpr size_t kQueries = 60;
constexpr size_t kDimension = 45;  // no multiple of a register
constexpr uint32_t kNearest = 10;

using Combination = std::tuple<v1::ElementType, v1::Metric>;

// The first components of rows of WordNet, as values that the element type holds exactly.
std::vector<float> MakeRows(v1::ElementType type, size_t first, size_t count) {
  std::vector<float> rows;
  for (size_t row = first; row < first + count; ++row) {
    const auto vector = GetWordNet().Floats(row);
    for (size_t d = 0; d < kDimension; ++d) {
      const float x = vector[d];
      switch (type) {
        case v1::UINT8:
          rows.push_back(std::clamp(std::round(x * 400 + 100), 0.0f, 255.0f));
          break;
        case v1::INT8:
          rows.push_back(std::clamp(std::round(x * 400), -128.0f, 127.0f));
          break;
        default:
          rows.push_back(x);
      }
    }
  }
  return rows;
}

// The components as the element type's bytes.
std::string ToBytes(v1::ElementType type, std::span<const float> rows) {
  if (type == v1::FLOAT32) return MakeVectors(rows).data();
  std::string bytes;
  for (const float x : rows) bytes.push_back(static_cast<char>(static_cast<int>(x)));
  return bytes;
}

double Score(v1::Metric metric, std::span<const float> a, std::span<const float> b) {
  double product = 0;
  double distance = 0;
  double norm_a = 0;
  double norm_b = 0;
  for (size_t d = 0; d < a.size(); ++d) {
    product += double{a[d]} * b[d];
    distance += (double{a[d]} - b[d]) * (double{a[d]} - b[d]);
    norm_a += double{a[d]} * a[d];
    norm_b += double{b[d]} * b[d];
  }
  if (metric == v1::L2) return distance;
  if (metric == v1::INNER_PRODUCT) return product;
  return product / std::sqrt(norm_a * norm_b);
}

class ElementTypesTest : public testing::TestWithParam<Combination> {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder();
    auto server = ServerProcess::Start({.data_dir = folder_->path()});
    ASSERT_OK(server.status());
    server_ = server->release();
  }

  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
    server_ = nullptr;
    folder_ = nullptr;
  }

  void SetUp() override {
    ASSERT_NE(server_, nullptr);
    name_ = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name_.begin(), name_.end(), '/', '-');
    type_ = std::get<0>(GetParam());
    metric_ = std::get<1>(GetParam());
    rows_ = MakeRows(type_, 0, kPoints);
    queries_ = MakeRows(type_, 20'000, kQueries);
    ComputeTruth();
    v1::CreateCollectionRequest request;
    request.set_collection_name(name_);
    request.set_dimension(kDimension);
    request.set_metric(metric_);
    request.set_element_type(type_);
    ASSERT_OK_AND_ASSIGN(const v1::Collection collection, client().CreateCollection(request));
    EXPECT_EQ(collection.metric(), metric_);
    EXPECT_EQ(collection.element_type(), type_);
  }

  static Client& client() { return server_->client(); }

  std::span<const float> Row(size_t row) const {
    return std::span(rows_).subspan(row * kDimension, kDimension);
  }
  std::span<const float> Query(size_t query) const {
    return std::span(queries_).subspan(query * kDimension, kDimension);
  }

  void ComputeTruth() {
    const double sign = metric_ == v1::L2 ? 1 : -1;
    for (size_t q = 0; q < kQueries; ++q) {
      std::vector<std::pair<double, int>> all;
      for (size_t row = 0; row < kPoints; ++row) {
        all.emplace_back(sign * Score(metric_, Query(q), Row(row)), static_cast<int>(row));
      }
      std::partial_sort(all.begin(), all.begin() + kNearest, all.end());
      std::vector<int>& ids = truth_.emplace_back();
      for (uint32_t i = 0; i < kNearest; ++i) ids.push_back(all[i].second);
    }
  }

  // Half of the points as floats, half as the type's own bytes.
  void Load() {
    for (const size_t first : {size_t{0}, kPoints / 2}) {
      const auto rows = std::span(rows_).subspan(first * kDimension, kPoints / 2 * kDimension);
      v1::UpsertRequest request;
      request.set_collection_name(name_);
      for (size_t row = first; row < first + kPoints / 2; ++row)
        request.mutable_ids()->add_num(row);
      if (first == 0 || type_ == v1::FLOAT16) {
        request.mutable_vectors()->mutable_values()->Add(rows.begin(), rows.end());
      } else {
        request.mutable_vectors()->set_data(ToBytes(type_, rows));
        request.mutable_vectors()->set_element_type(type_);
      }
      ASSERT_OK(client().Upsert(request).status());
    }
  }

  // Every score is right for its id, and at each rank as good as the brute force's.
  void ExpectExactAnswers(bool exact_parameter) {
    v1::SearchRequest request = MakeSearch(name_, queries_, kNearest);
    request.mutable_params()->set_exact(exact_parameter);
    ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response, client().Search(request));
    ASSERT_EQ(response.results_size(), static_cast<int>(kQueries));
    for (size_t q = 0; q < kQueries; ++q) {
      const v1::SearchResult& result = response.results(static_cast<int>(q));
      ASSERT_EQ(result.hits_size(), static_cast<int>(kNearest));
      for (uint32_t i = 0; i < kNearest; ++i) {
        const v1::ScoredPoint& hit = result.hits(static_cast<int>(i));
        const double score = Score(metric_, Query(q), Row(hit.id().num()));
        const double best = Score(metric_, Query(q), Row(static_cast<size_t>(truth_[q][i])));
        const double tolerance = 1e-5 * std::max(1.0, std::abs(score));
        EXPECT_NEAR(hit.score(), score, tolerance);
        EXPECT_NEAR(hit.score(), best, tolerance) << "query " << q << " rank " << i;
        EXPECT_TRUE(hit.score_is_exact());
      }
    }
  }

  static TempFolder* folder_;
  static ServerProcess* server_;
  v1::ElementType type_;
  v1::Metric metric_;
  std::string name_;
  std::vector<float> rows_;
  std::vector<float> queries_;
  std::vector<std::vector<int>> truth_;
};

TempFolder* ElementTypesTest::folder_ = nullptr;
ServerProcess* ElementTypesTest::server_ = nullptr;

TEST_P(ElementTypesTest, AnswersAsTheBruteForceDoes) {
  ASSERT_NO_FATAL_FAILURE(Load());
  ExpectExactAnswers(false);
  ASSERT_OK(TrainAndWait(client(), name_).status());
  ExpectExactAnswers(true);
  ASSERT_OK_AND_ASSIGN(const v1::SearchResponse response,
                       client().Search(MakeSearch(name_, queries_, kNearest)));
  EXPECT_GE(Recall(response, truth_, kNearest), 0.9);
}

TEST_P(ElementTypesTest, KeepsTheBytesOfItsType) {
  ASSERT_NO_FATAL_FAILURE(Load());
  const std::vector<uint64_t> ids = {0, kPoints - 1};
  ASSERT_OK_AND_ASSIGN(const v1::GetPointsResponse points, client().GetPoints(MakeGet(name_, ids)));
  ASSERT_EQ(points.points_size(), 2);
  for (int i = 0; i < 2; ++i) {
    const v1::Vectors& vector = points.points(i).vector();
    EXPECT_EQ(vector.element_type(), type_);
    ASSERT_OK_AND_ASSIGN(const std::vector<float> floats, ToFloats(vector));
    const auto expected = Row(ids[i]);
    EXPECT_TRUE(std::equal(floats.begin(), floats.end(), expected.begin(), expected.end()));
  }
}

INSTANTIATE_TEST_SUITE_P(All, ElementTypesTest,
                         testing::Combine(testing::Values(v1::FLOAT32, v1::FLOAT16, v1::UINT8,
                                                          v1::INT8),
                                          testing::Values(v1::L2, v1::INNER_PRODUCT, v1::COSINE)),
                         [](const auto& info) {
                           return absl::StrCat(v1::ElementType_Name(std::get<0>(info.param)), "_",
                                               v1::Metric_Name(std::get<1>(info.param)));
                         });

}  // namespace
}  // namespace tessera
