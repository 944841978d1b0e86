// Searches of a collection whose vectors are on disk.

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/server/rpc/server_fixture.h"
#include "tests/server/storage/page_cache.h"

namespace tessera {
namespace {

constexpr int kDimension = 8;
constexpr int kPoints = 500;

class DiskSearchTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    Create("words", kDimension, Metric::kL2, ElementType::kFloat32, VectorPlacement::kDisk);
    v1::UpsertResponse written;
    ASSERT_TRUE(
        Call(*points_, &v1::Points::Stub::Upsert, Points("words", 1, kPoints, kDimension), &written)
            .ok());
    Train("words", 4);
  }
  std::unique_ptr<Store> Wrapped(std::unique_ptr<Store> store) override {
    return std::make_unique<GatedStore>(std::move(store), gate_);
  }

  // The nearest five of a point; none, and a failure, where the search fails.
  std::string Nearest(int point, bool no_rerank = false) {
    v1::SearchRequest request;
    request.set_collection_name("words");
    request.set_limit(5);
    request.mutable_params()->set_no_rerank(no_rerank);
    const v1::UpsertRequest points = Points("words", static_cast<uint64_t>(point), 1, kDimension);
    *request.mutable_vectors()->mutable_values() = points.vectors().values();
    v1::SearchResponse response;
    const grpc::Status status = Call(*points_, &v1::Points::Stub::Search, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::string nearest;
    for (const auto& hit : response.results(0).hits()) {
      absl::StrAppend(&nearest, hit.id().num(), ":", hit.score(), " ");
    }
    return nearest;
  }
  std::string RowFilePath() const { return directory_ + "/rows/1.rows"; }

  Gate gate_;
};

TEST_F(DiskSearchTest, FindsTheSameOnceTheDiskIsRead) {
  const std::string cached = Nearest(7);
  EXPECT_TRUE(cached.starts_with("7:0 ")) << cached;
  for (int round = 0; round < 3; ++round) {
    DropFromPageCache(RowFilePath());
    EXPECT_EQ(Nearest(7), cached);
  }
  EXPECT_EQ(gate_.arrived(), 0) << "records read from the store";
}

TEST_F(DiskSearchTest, OneThatWaitsForTheDiskHoldsUpNobody) {
  const std::string cached = Nearest(7);
  const std::string of_codes = Nearest(8, /*no_rerank=*/true);
  // Vectors that the copy does not have are in the store, whose gate is closed.
  std::filesystem::resize_file(RowFilePath(), 4096);
  gate_.Close();
  std::thread waits([&] { EXPECT_EQ(Nearest(7), cached); });
  gate_.AwaitArrived(1);
  EXPECT_EQ(Nearest(8, /*no_rerank=*/true), of_codes);
  gate_.Open();
  waits.join();
}

}  // namespace
}  // namespace tessera
