#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

class EngineAlias : public EngineFixture {
 protected:
  void Fill(const std::string& name, uint64_t points) {
    Create(name, 4);
    ASSERT_TRUE(UpsertRows(name, 0, ClusteredRows(points, 4, 1)).ok());
  }
  uint64_t Count(const std::string& name) {
    const auto count = engine_->CountPoints(name, {});
    return count.ok() ? *count : 0;
  }
};

TEST_F(EngineAlias, StandsForACollectionAndMovesAtOnce) {
  Fill("one", 1);
  Fill("two", 2);
  ASSERT_TRUE(engine_->UpdateAliases({{"live", "one"}, {"next", "two"}}).ok());
  EXPECT_EQ(Count("live"), 1u);
  ASSERT_TRUE(engine_->UpdateAliases({{"live", "two"}, {"next", ""}}).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Count("live"), 2u);
    EXPECT_EQ(Count("next"), 0u);
    const auto aliases = engine_->ListAliases("two");
    ASSERT_EQ(aliases.size(), 1u);
    EXPECT_EQ(aliases[0].alias, "live");
    Reopen();
  }
  const auto written = UpsertRows("live", 7, ClusteredRows(1, 4, 1));
  EXPECT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(Count("two"), 3u);
}

TEST_F(EngineAlias, WorkUnderAnAliasIsWorkOnTheCollection) {
  Fill("one", 2000);
  ASSERT_TRUE(engine_->UpdateAliases({{"live", "one"}}).ok());
  Train("one", 8);
  ASSERT_EQ(Await(engine_->Train({.collection = "live", .nlist = 4}))->collection, "one");
  // By the name a training and an activation exclude each other.
  const auto activation = Await(engine_->ActivateCodebook("live", 1));
  ASSERT_TRUE(activation.ok()) << activation.status();
  EXPECT_EQ(activation->collection, "one");
}

TEST_F(EngineAlias, RefusesWholeRequestsAndTakenNames) {
  Fill("one", 1);
  EXPECT_TRUE(absl::IsNotFound(engine_->UpdateAliases({{"live", "one"}, {"other", "nonsense"}})));
  EXPECT_TRUE(absl::IsNotFound(engine_->UpdateAliases({{"live", "one"}, {"other", ""}})));
  EXPECT_TRUE(absl::IsAlreadyExists(engine_->UpdateAliases({{"one", "one"}})));
  EXPECT_EQ(GetStatusDetails(engine_->UpdateAliases({{"a b", "one"}})).field,
            "actions[0].alias_name");
  EXPECT_TRUE(engine_->ListAliases("").empty());
  ASSERT_TRUE(engine_->UpdateAliases({{"live", "one"}}).ok());
  CollectionSpec spec;
  spec.name = "live";
  spec.dimension = 4;
  EXPECT_TRUE(absl::IsAlreadyExists(engine_->CreateCollection(spec).status()));
  EXPECT_TRUE(absl::IsNotFound(engine_->DeleteCollection("live")));
  ASSERT_TRUE(engine_->DeleteCollection("one").ok());
  EXPECT_TRUE(engine_->ListAliases("").empty());
  Reopen();
  EXPECT_TRUE(engine_->ListAliases("").empty());
}

}  // namespace
}  // namespace tessera
