#include "server/rpc/rpc_status.h"

#include <gtest/gtest.h>

#include <string>

#include "google/rpc/error_details.pb.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

// The detail of the given type, which must be there.
template <typename Detail>
Detail Unpack(const google::rpc::Status& status) {
  Detail detail;
  bool found = false;
  for (const auto& any : status.details()) found = found || any.UnpackTo(&detail);
  EXPECT_TRUE(found) << detail.GetTypeName();
  return detail;
}

template <typename Detail>
bool Has(const google::rpc::Status& status) {
  for (const auto& any : status.details()) {
    if (any.Is<Detail>()) return true;
  }
  return false;
}

google::rpc::Status OnTheWire(const absl::Status& status) {
  google::rpc::Status out;
  EXPECT_TRUE(out.ParseFromString(ToGrpcStatus(status).error_details()));
  return out;
}

TEST(RpcStatusTest, OkHasNothing) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_EQ(ToRpcStatus(absl::OkStatus()).code(), 0);
  EXPECT_EQ(ToRpcStatus(absl::OkStatus()).details_size(), 0);
}

TEST(RpcStatusTest, FieldAtFault) {
  const absl::Status error = InvalidField("vectors.data", "is too short");
  const grpc::Status grpc_status = ToGrpcStatus(error);
  EXPECT_EQ(grpc_status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const google::rpc::Status status = OnTheWire(error);
  EXPECT_EQ(status.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.message(), grpc_status.error_message());
  const auto info = Unpack<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  EXPECT_EQ(info.domain(), "tessera");
  const auto bad_request = Unpack<google::rpc::BadRequest>(status);
  ASSERT_EQ(bad_request.field_violations_size(), 1);
  EXPECT_EQ(bad_request.field_violations(0).field(), "vectors.data");
  EXPECT_NE(bad_request.field_violations(0).description().find("too short"), std::string::npos);
  EXPECT_FALSE(Has<google::rpc::RetryInfo>(status));
}

TEST(RpcStatusTest, MissingResource) {
  const google::rpc::Status status = OnTheWire(NotFound("collection", "words"));
  EXPECT_EQ(status.code(), grpc::StatusCode::NOT_FOUND);
  const auto resource = Unpack<google::rpc::ResourceInfo>(status);
  EXPECT_EQ(resource.resource_type(), "collection");
  EXPECT_EQ(resource.resource_name(), "words");
}

TEST(RpcStatusTest, RetryWhereItHelps) {
  const auto starting = OnTheWire(ServerStartingError());
  EXPECT_EQ(starting.code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Unpack<google::rpc::ErrorInfo>(starting).reason(), "SERVER_STARTING");
  EXPECT_EQ(Unpack<google::rpc::RetryInfo>(starting).retry_delay().seconds(), 1);

  const auto busy = OnTheWire(ServerBusyError());
  EXPECT_EQ(busy.code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Unpack<google::rpc::ErrorInfo>(busy).reason(), "SERVER_BUSY");
  EXPECT_EQ(Unpack<google::rpc::RetryInfo>(busy).retry_delay().nanos(), 100'000'000);

  EXPECT_EQ(Unpack<google::rpc::ErrorInfo>(OnTheWire(ServerStoppingError())).reason(),
            "SERVER_STOPPING");
}

TEST(RpcStatusTest, AReasonIsAlwaysThere) {
  const auto status = OnTheWire(absl::DataLossError("000012.sst is damaged"));
  EXPECT_EQ(Unpack<google::rpc::ErrorInfo>(status).reason(), "DATA_LOSS");
}

TEST(RpcStatusTest, TextsAreCutAndPrintable) {
  const std::string huge(100'000, 'x');
  const grpc::Status cut = ToGrpcStatus(absl::NotFoundError(huge));
  EXPECT_EQ(cut.error_message().size(), limits::kErrorMessageBytesMax);
  // All of it travels in headers, which clients bound at 8 KiB.
  EXPECT_LT(cut.error_details().size() + cut.error_message().size(), 4'096u);

  const auto named = OnTheWire(NotFound("point", "a\xff\xc3(z"));
  EXPECT_EQ(Unpack<google::rpc::ResourceInfo>(named).resource_name(), "a?\?(z");
}

TEST(RpcStatusTest, Utf8) {
  EXPECT_EQ(ValidUtf8Prefix("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), 10u);
  EXPECT_EQ(ValidUtf8Prefix("ab\xff"), 2u);
  EXPECT_EQ(ValidUtf8Prefix("\xc0\xaf"), 0u);          // overlong
  EXPECT_EQ(ValidUtf8Prefix("\xed\xa0\x80"), 0u);      // surrogate
  EXPECT_EQ(ValidUtf8Prefix("\xf4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(ValidUtf8Prefix("a\xe2\x82"), 1u);         // cut off
  // Cutting never splits a character.
  EXPECT_EQ(PrintableText("a\xe2\x82\xac", 3), "a");
  EXPECT_EQ(PrintableText("a\xe2\x82\xac", 4), "a\xe2\x82\xac");
}

}  // namespace
}  // namespace tessera
