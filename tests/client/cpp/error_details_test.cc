#include "client/cpp/error_details.h"

#include <string>

#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace tessera {
namespace {

google::rpc::Status FullStatus() {
  google::rpc::Status status;
  status.set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
  status.set_message("limit: 0 is not between 1 and 10000");
  google::rpc::ErrorInfo info;
  info.set_reason("LIMIT_OUT_OF_RANGE");
  info.set_domain("tessera");
  (*info.mutable_metadata())["max"] = "10000";
  status.add_details()->PackFrom(info);
  google::rpc::BadRequest bad_request;
  auto& violation = *bad_request.add_field_violations();
  violation.set_field("limit");
  violation.set_description("not between 1 and 10000");
  status.add_details()->PackFrom(bad_request);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(2);
  retry.mutable_retry_delay()->set_nanos(500'000'000);
  status.add_details()->PackFrom(retry);
  return status;
}

TEST(ErrorDetails, DecodesWhatTheServerSends) {
  const google::rpc::Status full = FullStatus();
  const absl::Status status = ToAbslStatus(
      grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, full.message(), full.SerializeAsString()));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "limit: 0 is not between 1 and 10000");
  const ErrorDetails details = GetErrorDetails(status);
  EXPECT_EQ(details.reason, "LIMIT_OUT_OF_RANGE");
  EXPECT_EQ(details.domain, "tessera");
  EXPECT_EQ(details.metadata.at("max"), "10000");
  ASSERT_EQ(details.field_violations.size(), 1u);
  EXPECT_EQ(details.field_violations[0].field, "limit");
  EXPECT_EQ(details.field_violations[0].description, "not between 1 and 10000");
  EXPECT_EQ(details.retry_delay, absl::Milliseconds(2500));
}

TEST(ErrorDetails, DecodesAStatusInsideAMessage) {
  const absl::Status status = ToAbslStatus(FullStatus());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetErrorDetails(status).reason, "LIMIT_OUT_OF_RANGE");
}

TEST(ErrorDetails, AreEmptyWithoutDetailsOrWithDamagedOnes) {
  EXPECT_TRUE(GetErrorDetails(absl::NotFoundError("x")).reason.empty());
  const absl::Status damaged =
      ToAbslStatus(grpc::Status(grpc::StatusCode::INTERNAL, "x", "\xFF\xFF\xFF"));
  EXPECT_EQ(damaged.code(), absl::StatusCode::kInternal);
  const ErrorDetails details = GetErrorDetails(damaged);
  EXPECT_TRUE(details.reason.empty());
  EXPECT_TRUE(details.field_violations.empty());
  EXPECT_FALSE(details.retry_delay.has_value());
}

TEST(ErrorDetails, SuccessIsSuccessAndUnknownCodesAreUnknown) {
  EXPECT_TRUE(ToAbslStatus(grpc::Status::OK).ok());
  EXPECT_TRUE(ToAbslStatus(google::rpc::Status()).ok());
  google::rpc::Status odd;
  odd.set_code(1234);
  EXPECT_EQ(ToAbslStatus(odd).code(), absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace tessera
