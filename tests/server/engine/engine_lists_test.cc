// Statistics of the inverted lists.
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

class EngineListsTest : public EngineFixture {
 protected:
  static constexpr size_t kDimension = 8;
  static constexpr uint32_t kLists = 10;

  absl::StatusOr<ListStatistics> Page(size_t page_size, const std::string& token = "") {
    return engine_->GetListStatistics("a", page_size, token);
  }
};

TEST_F(EngineListsTest, SaysHowFullTheListsAre) {
  Create("a", kDimension);
  ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(2'000, kDimension, 1)).ok());
  Train("a", kLists);
  // Too few of any list for a compaction.
  ASSERT_TRUE(engine_->DeletePoints("a", {PointId(uint64_t{7}), PointId(uint64_t{8})}, {}).ok());
  const auto all = Page(100);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->nlist, kLists);
  EXPECT_EQ(all->codebook_version, 1u);
  EXPECT_EQ(all->points, 1'998u);
  EXPECT_EQ(all->dead_entries, 2u);
  EXPECT_EQ(all->next_page_token, "");
  ASSERT_EQ(all->lists.size(), kLists);
  std::vector<uint64_t> sizes;
  uint64_t dead = 0;
  double squares = 0;
  for (uint32_t list = 0; list < kLists; ++list) {
    EXPECT_EQ(all->lists[list].list, list);
    sizes.push_back(all->lists[list].points);
    dead += all->lists[list].dead_entries;
    squares += static_cast<double>(sizes.back() * sizes.back());
  }
  EXPECT_EQ(dead, 2u);
  std::sort(sizes.begin(), sizes.end());
  EXPECT_EQ(all->points_min, sizes.front());
  EXPECT_EQ(all->points_median, sizes[kLists / 2]);
  EXPECT_EQ(all->points_max, sizes.back());
  EXPECT_EQ(all->empty_lists, 0u);
  EXPECT_NEAR(all->imbalance, kLists * squares / (1'998.0 * 1'998.0), 1e-9);
  EXPECT_GE(all->imbalance, 1);

  std::string token;
  uint32_t next = 0;
  do {
    const auto page = Page(3, token);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->points, 1'998u);
    for (const ListFill& fill : page->lists) {
      EXPECT_EQ(fill.list, next);
      EXPECT_EQ(fill.points, all->lists[next++].points);
    }
    token = page->next_page_token;
  } while (!token.empty());
  EXPECT_EQ(next, kLists);
}

TEST_F(EngineListsTest, ATokenIsOfItsCodebook) {
  Create("a", kDimension);
  EXPECT_EQ(GetStatusDetails(Page(3).status()).reason, "CODEBOOK_NOT_TRAINED");
  ASSERT_TRUE(UpsertRows("a", 0, ClusteredRows(500, kDimension, 1)).ok());
  Train("a", kLists);
  const std::string token = Page(3)->next_page_token;
  Train("a", kLists);
  for (const std::string& bad : {token, std::string("%"), token + token}) {
    const absl::Status refused = Page(3, bad).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(GetStatusDetails(refused).field, "page_token");
  }
  ElementType type;
  const auto points = engine_->ScrollPoints("a", 3, "", {}, {}, &type);
  EXPECT_EQ(GetStatusDetails(Page(3, points->next_page_token).status()).field, "page_token");
  EXPECT_EQ(GetStatusDetails(Page(10'001).status()).field, "page_size");
}

}  // namespace
}  // namespace tessera
