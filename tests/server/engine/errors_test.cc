#include "server/engine/errors.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera {
namespace {

TEST(ErrorsTest, InvalidFieldCarriesTheField) {
  const absl::Status status = InvalidField("vectors.values", "holds NaN in row 3");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "vectors.values: holds NaN in row 3");
  const StatusDetails details = GetStatusDetails(status);
  EXPECT_EQ(details.reason, "INVALID_FIELD");
  EXPECT_EQ(details.field, "vectors.values");
  EXPECT_EQ(details.resource_type, "");
}

TEST(ErrorsTest, AFieldCanBePartOfAnother) {
  const absl::Status status = WithinField("searches[3]", InvalidField("limit", "is 0"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "searches[3].limit: is 0");
  EXPECT_EQ(GetStatusDetails(status).field, "searches[3].limit");
  EXPECT_EQ(GetStatusDetails(status).reason, "INVALID_FIELD");
  const absl::Status other = NotFound("point", "7");
  EXPECT_EQ(WithinField("searches[3]", other), other);
  EXPECT_EQ(WithinField("searches[3]", absl::OkStatus()), absl::OkStatus());
}

TEST(ErrorsTest, NotFoundCarriesTheResource) {
  const absl::Status status = NotFound("collection", "words");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "there is no collection 'words'");
  const StatusDetails details = GetStatusDetails(status);
  EXPECT_EQ(details.reason, "NOT_FOUND");
  EXPECT_EQ(details.resource_type, "collection");
  EXPECT_EQ(details.resource_name, "words");
  EXPECT_EQ(details.field, "");
}

TEST(ErrorsTest, WithReasonKeepsCodeAndMessageAndReplacesTheReason) {
  absl::Status status = WithReason(absl::DataLossError("block 7"), "FIRST");
  status = WithReason(status, "SECOND");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "block 7");
  EXPECT_EQ(GetStatusDetails(status).reason, "SECOND");
}

TEST(ErrorsTest, OkStaysOk) {
  EXPECT_EQ(WithReason(absl::OkStatus(), "REASON"), absl::OkStatus());
  EXPECT_EQ(GetStatusDetails(absl::OkStatus()).reason, "");
}

TEST(ErrorsTest, StatusOfOthersHasNoDetails) {
  const StatusDetails details = GetStatusDetails(absl::UnavailableError("x"));
  EXPECT_EQ(details.reason + details.field + details.resource_type + details.resource_name, "");
}

}  // namespace
}  // namespace tessera
