#ifndef TESSERA_TESTS_INTEGRATION_REQUESTS_H_
#define TESSERA_TESTS_INTEGRATION_REQUESTS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cpp/client.h"
#include "gtest/gtest.h"
#include "index/base/status_macros.h"

// The calls that every test makes, in one line each.
namespace tessera {

// Fails the test at once if `expression` is not OK.
#define ASSERT_OK(expression)                     \
  do {                                            \
    const absl::Status ok_status_ = (expression); \
    ASSERT_TRUE(ok_status_.ok()) << ok_status_;   \
  } while (false)

#define EXPECT_OK(expression)                     \
  do {                                            \
    const absl::Status ok_status_ = (expression); \
    EXPECT_TRUE(ok_status_.ok()) << ok_status_;   \
  } while (false)

// ASSERT_OK_AND_ASSIGN(auto x, F()): x = the value of the StatusOr, or the test fails at once.
#define ASSERT_OK_AND_ASSIGN(lhs, expression) \
  ASSERT_OK_AND_ASSIGN_IMPL(TESSERA_MACRO_CONCAT(status_or_, __LINE__), lhs, expression)
#define ASSERT_OK_AND_ASSIGN_IMPL(temp, lhs, expression) \
  auto temp = (expression);                              \
  ASSERT_TRUE(temp.ok()) << temp.status();               \
  lhs = *std::move(temp)

// Trains with the collection's defaults and waits until it is done.
absl::StatusOr<v1::Operation> TrainAndWait(Client& client, const std::string& collection);

// An id as text: 7 or "7", so that both kinds can be told apart.
std::string IdText(const v1::PointId& id);

// A request for the `limit` nearest of each row of `queries`.
v1::SearchRequest MakeSearch(const std::string& collection, std::span<const float> queries,
                             uint32_t limit);

// The ids of each query's hits, nearest first, as IdText gives them.
std::vector<std::vector<std::string>> HitIds(const v1::SearchResponse& response);

// The share of each query's true k nearest, the first k of its ground truth, that are among its
// first k hits; over all queries.
double Recall(const v1::SearchResponse& response, std::span<const std::vector<int>> ground_truth,
              size_t k);

// All points by Scroll, keyed by IdText. INTERNAL if a point comes twice.
absl::StatusOr<std::map<std::string, v1::Point>> ScrollAll(Client& client,
                                                           const std::string& collection,
                                                           uint32_t page_size, bool with_fields);

// One point. `payload` may be empty.
v1::UpsertRequest MakeUpsert(const std::string& collection, const v1::PointId& id,
                             std::span<const float> vector, const std::string& payload = "");

v1::GetPointsRequest MakeGet(const std::string& collection, std::span<const uint64_t> ids);
v1::DeletePointsRequest MakeDelete(const std::string& collection, std::span<const uint64_t> ids);

// Codebook bytes out of and into a collection; the import is waited for.
absl::StatusOr<std::string> ExportCodebook(Client& client, const std::string& collection,
                                           uint32_t version = 0);
absl::StatusOr<v1::Operation> ImportCodebook(Client& client, const std::string& collection,
                                             const std::string& bytes);

}  // namespace tessera

#endif  // TESSERA_TESTS_INTEGRATION_REQUESTS_H_
