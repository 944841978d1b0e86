// What there may be at most, by the limits of index/base/limits.h: one more is refused, and nothing
// has changed then.
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "tests/server/engine/engine_fixture.h"

namespace tessera {
namespace {

constexpr size_t kDimension = 2;

class EngineLimits : public EngineFixture {
 protected:
  static std::string ReasonOf(const absl::Status& status) {
    return GetStatusDetails(status).reason;
  }
};

TEST_F(EngineLimits, PayloadIndexesOfACollection) {
  Create("c", kDimension);
  const auto create = [&](size_t number) {
    return Await(engine_->CreatePayloadIndex(
        "c", {FieldPath(absl::StrCat("field", number)), PayloadIndexType::kKeyword}));
  };
  for (size_t i = 0; i < limits::kPayloadIndexesMax; ++i) ASSERT_TRUE(create(i).ok()) << i;
  const absl::Status refused = create(limits::kPayloadIndexesMax).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY_PAYLOAD_INDEXES");
  EXPECT_NE(refused.message().find(absl::StrCat(limits::kPayloadIndexesMax)), std::string::npos);
  Reopen();
  EXPECT_EQ(ReasonOf(create(limits::kPayloadIndexesMax).status()), "TOO_MANY_PAYLOAD_INDEXES");
  ASSERT_TRUE(engine_->DropPayloadIndex("c", "field7").ok());
  EXPECT_TRUE(create(limits::kPayloadIndexesMax).ok());
}

TEST_F(EngineLimits, Aliases) {
  Create("c", kDimension);
  std::vector<AliasAction> actions;
  for (size_t i = 0; i < limits::kAliasesMax; ++i) actions.push_back({absl::StrCat("a", i), "c"});
  ASSERT_TRUE(engine_->UpdateAliases(actions).ok());
  const absl::Status refused = engine_->UpdateAliases({{"one-more", "c"}, {"and-another", "c"}});
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY_ALIASES");
  EXPECT_TRUE(absl::IsNotFound(engine_->CountPoints("one-more", {}).status()));
  EXPECT_TRUE(engine_->CountPoints("a7", {}).ok());
  // One comes and one goes.
  EXPECT_TRUE(engine_->UpdateAliases({{"one-more", "c"}, {"a7", ""}}).ok());
  EXPECT_TRUE(engine_->CountPoints("one-more", {}).ok());
}

TEST_F(EngineLimits, VectorsToEncode) {
  Create("c", kDimension);
  const Matrix few = ClusteredRows(200, kDimension, 1);
  ASSERT_TRUE(UpsertRows("c", 0, few).ok());
  Train("c", 4);
  const Matrix many = ClusteredRows(limits::kEncodeVectorsMax + 1, kDimension, 1);
  EXPECT_EQ(GetStatusDetails(engine_->Encode("c", FloatView(many)).status()).field, "vectors");
  VectorsView fewer = FloatView(many);
  fewer.rows -= 1;
  EXPECT_TRUE(engine_->Encode("c", fewer).ok());
}

}  // namespace
}  // namespace tessera
