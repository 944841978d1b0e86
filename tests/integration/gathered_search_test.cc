// Searches that wait at the same time share passes over the lists: the answers stay those that each
// search gets alone, and a bad one among them fails alone.
#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "client/cpp/vectors.h"
#include "gtest/gtest.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wordnet.h"

namespace tessera {
namespace {

constexpr char kWords[] = "words";
constexpr size_t kClients = 16;
constexpr size_t kSearchesEach = 60;

TEST(GatheredSearch, AnswersAreThoseOfSearchesAlone) {
  const WordNet& words = GetWordNet();
  TempFolder folder;
  // One worker: what the clients send meanwhile waits, and is gathered.
  ASSERT_OK_AND_ASSIGN(auto server, ServerProcess::Start({.data_dir = folder.path(),
                                                          .flags = {"--search_threads=1"}}));
  Client& client = server->client();
  ASSERT_OK(CreateWordNet(client, kWords));
  ASSERT_OK(LoadWordNet(client, kWords, 0, words.rows()));
  ASSERT_OK(TrainAndWait(client, kWords).status());

  std::vector<std::vector<std::vector<std::string>>> alone(words.query_count());
  const auto search_of = [&](size_t query) {
    // Different limits and parameters, so that some agree and some do not.
    v1::SearchRequest request = MakeSearch(kWords, words.Query(query), query % 3 == 0 ? 10 : 20);
    if (query % 7 == 0) request.mutable_params()->set_nprobe(64);
    if (query % 7 == 1) request.mutable_params()->set_target_recall(query % 2 == 0 ? 0.6 : 0.99);
    return request;
  };
  for (size_t query = 0; query < words.query_count(); ++query) {
    ASSERT_OK_AND_ASSIGN(v1::SearchResponse response, client.Search(search_of(query)));
    alone[query] = HitIds(response);
  }

  std::atomic<size_t> different{0};
  std::atomic<size_t> failed{0};
  std::atomic<size_t> refused{0};
  std::vector<std::thread> clients;
  for (size_t c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      for (size_t i = 0; i < kSearchesEach; ++i) {
        const size_t query = (c * kSearchesEach + i) % words.query_count();
        v1::SearchRequest request = search_of(query);
        const bool bad = i % 10 == 9;
        if (bad) {
          std::vector<float> nan(words.dimension, std::numeric_limits<float>::quiet_NaN());
          *request.mutable_vectors() = MakeVectors(nan);
        }
        auto response = client.Search(request);
        if (bad) {
          refused += absl::IsInvalidArgument(response.status());
        } else if (!response.ok()) {
          ++failed;
        } else if (HitIds(*response) != alone[query]) {
          ++different;
        }
      }
    });
  }
  for (std::thread& thread : clients) thread.join();
  EXPECT_EQ(failed, 0u);
  EXPECT_EQ(different, 0u);
  EXPECT_EQ(refused, kClients * kSearchesEach / 10);
}

}  // namespace
}  // namespace tessera
