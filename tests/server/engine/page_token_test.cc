// Tokens that were cut. What else may come as a token: tests/fuzz.
#include "server/engine/page_token.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/engine/range_cursor.h"

namespace tessera {
namespace {

// Calls decode(cut) with every truncation.
template <class Decode>
void ExpectEveryTruncationRefused(const std::string& token, Decode decode) {
  ASSERT_TRUE(decode(token).ok()) << token;
  for (size_t size = 0; size < token.size(); ++size) {
    EXPECT_EQ(decode(token.substr(0, size)).code(), absl::StatusCode::kInvalidArgument)
        << token << " cut to " << size;
  }
}

TEST(PageTokenTest, EveryTruncationIsRefused) {
  for (const std::string& key : {std::string("c/1"), std::string("c/12345"), std::string(200, 'x'),
                                 std::string("c/\0\0\0\7 end", 11)}) {
    ExpectEveryTruncationRefused(EncodePageToken(key), [&](const std::string& token) {
      const auto read = DecodePageToken(token, "");
      return read.ok() && *read == key ? absl::OkStatus() : read.status();
    });
  }
}

TEST(PageTokenTest, EveryTruncationOfAnOrderTokenIsRefused) {
  const std::vector<PointId> ids = {PointId(uint64_t{7}), PointId(std::string("name"))};
  const auto check = [&](PayloadIndexType type, const FieldIndex::Value& value) {
    const OrderTokenScope scope{3, "a.b", type, false};
    for (const PointId& id : ids) {
      ExpectEveryTruncationRefused(
          EncodeOrderToken(scope, {value, id}),
          [&](const std::string& token) { return DecodeOrderToken(token, scope).status(); });
    }
  };
  check(PayloadIndexType::kKeyword, std::string("word"));
  check(PayloadIndexType::kInteger, int64_t{-5});
  check(PayloadIndexType::kFloat, 0.5);
}

TEST(PageTokenTest, EveryTruncationOfARangeTokenIsRefused) {
  for (const PointId& id : {PointId(uint64_t{7}), PointId(std::string("name"))}) {
    ExpectEveryTruncationRefused(
        EncodeRangeCursor(3, 99, {0.25F, id}),
        [&](const std::string& token) { return DecodeRangeCursor(token, 3, 99).status(); });
  }
}

TEST(PageTokenTest, EveryTruncationOfAFacetTokenIsRefused) {
  const FacetTokenScope scope{3, "a.b", 99};
  for (const FacetValue& value : {FacetValue(true), FacetValue(int64_t{-5}), FacetValue("word")}) {
    const std::string token = EncodeFacetToken(scope, {value, 12});
    ExpectEveryTruncationRefused(token, [&](const std::string& cut) {
      const auto last = DecodeFacetToken(cut, scope);
      return last.ok() && *last == FacetCount{value, 12} ? absl::OkStatus() : last.status();
    });
    for (const FacetTokenScope& other : {FacetTokenScope{4, "a.b", 99}, FacetTokenScope{3, "a", 99},
                                         FacetTokenScope{3, "a.b", 98}}) {
      EXPECT_EQ(DecodeFacetToken(token, other).status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace tessera
