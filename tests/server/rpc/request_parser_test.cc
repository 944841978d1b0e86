#include "server/rpc/request_parser.h"

#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "index/base/limits.h"
#include "server/engine/errors.h"
#include "tessera/v1/points.pb.h"

namespace tessera {
namespace {

// As bytes that come in pieces, as they do from the network.
grpc::ByteBuffer InPieces(const std::string& bytes, size_t piece) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += piece) slices.emplace_back(bytes.substr(at, piece));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

// Field `number` with wire type "length-delimited".
std::string Delimited(int number, const std::string& content) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         std::string(1, static_cast<char>(content.size())) + content;
}

TEST(RequestParserTest, ParsesAndEmptiesTheBuffer) {
  v1::UpsertRequest request;
  request.set_collection_name("words");
  for (int i = 0; i < 1'000; ++i) request.mutable_vectors()->add_values(static_cast<float>(i));
  for (const size_t piece : {1u, 7u, 4'096u}) {
    grpc::ByteBuffer buffer = InPieces(request.SerializeAsString(), piece);
    v1::UpsertRequest parsed;
    ASSERT_TRUE(ParseRequest(&buffer, &parsed).ok());
    EXPECT_EQ(parsed.SerializeAsString(), request.SerializeAsString());
    EXPECT_FALSE(buffer.Valid());
  }
  grpc::ByteBuffer nothing;
  v1::CountRequest empty;
  EXPECT_TRUE(ParseRequest(&nothing, &empty).ok());
}

TEST(RequestParserTest, NamesTheFieldThatIsNotUtf8) {
  const std::string ids =
      Delimited(2, "good") + Delimited(2, "also good") + Delimited(2, "bad \xff");
  grpc::ByteBuffer buffer = InPieces(Delimited(1, "words") + Delimited(2, ids), 5);
  v1::UpsertRequest request;
  const absl::Status status = ParseRequest(&buffer, &request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetStatusDetails(status).field, "ids.str[2]");

  buffer = InPieces(Delimited(1, "\xc3"), 1);
  EXPECT_EQ(GetStatusDetails(ParseRequest(&buffer, &request)).field, "collection_name");
}

TEST(RequestParserTest, NamesTheFieldThatIsTooDeep) {
  v1::CountRequest request;
  v1::Filter* filter = request.mutable_filter();
  for (int i = 0; i < 60; ++i) filter = filter->add_must()->mutable_filter();
  grpc::ByteBuffer buffer = InPieces(request.SerializeAsString(), 100);
  v1::CountRequest parsed;
  const absl::Status status = ParseRequest(&buffer, &parsed);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string field = GetStatusDetails(status).field;
  EXPECT_TRUE(field.starts_with("filter.must[0].filter.must[0].")) << field;
}

// Each takes two bytes, and a hundred as a message.
TEST(RequestParserTest, NamesTheFieldThatHasTooMany) {
  const auto fault = [](const google::protobuf::Message& request,
                        google::protobuf::Message* parsed) {
    grpc::ByteBuffer buffer = InPieces(request.SerializeAsString(), 100'000);
    const absl::Status status = ParseRequest(&buffer, parsed);
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    EXPECT_FALSE(buffer.Valid());
    return GetStatusDetails(status).field;
  };
  v1::SearchBatchRequest batch, parsed_batch;
  const auto fill = [&batch](size_t count) {
    batch.mutable_searches()->Clear();
    for (size_t i = 0; i < count; ++i) batch.add_searches();
  };
  fill(limits::kMessageElementsMax);
  EXPECT_EQ(fault(batch, &parsed_batch), "");
  EXPECT_EQ(parsed_batch.searches_size(), static_cast<int>(limits::kMessageElementsMax));
  fill(limits::kMessageElementsMax + 1);
  EXPECT_EQ(fault(batch, &parsed_batch), "searches");

  v1::UpsertRequest upsert, parsed_upsert;
  for (size_t i = 0; i < limits::kMessageElementsMax; ++i) upsert.mutable_ids()->add_str("");
  EXPECT_EQ(fault(upsert, &parsed_upsert), "ids.str");
  upsert.Clear();
  for (size_t i = 0; i < 9 * limits::kMessageElementsMax; ++i) upsert.mutable_ids()->add_num(1);
  EXPECT_EQ(fault(upsert, &parsed_upsert), "ids.num");
  // Components take as much in memory as they bring.
  upsert.Clear();
  for (size_t i = 0; i < 9 * limits::kMessageElementsMax; ++i) {
    upsert.mutable_vectors()->add_values(1);
  }
  EXPECT_EQ(fault(upsert, &parsed_upsert), "");
  EXPECT_EQ(parsed_upsert.vectors().values_size(), upsert.vectors().values_size());
}

TEST(RequestParserTest, SaysThatBytesAreNoMessage) {
  v1::SearchRequest request;
  // A length that runs past the end, a group that never ends, a field number of 0.
  for (const std::string bytes : {"\x0a\x7f"
                                  "abc",
                                  "\x0b",
                                  "\x02\x01"
                                  "a",
                                  "\xff\xff\xff\xff\xff"}) {
    grpc::ByteBuffer buffer = InPieces(bytes, 2);
    const absl::Status status = ParseRequest(&buffer, &request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(GetStatusDetails(status).reason, "MALFORMED_MESSAGE");
    EXPECT_NE(status.message().find("tessera.v1.SearchRequest"), absl::string_view::npos);
  }
}

TEST(RequestParserTest, RefusesAResponseOverTheLimit) {
  v1::GetPointsResponse response;
  response.add_points()->mutable_vector()->set_data(std::string(1'000, 'x'));
  grpc::ByteBuffer buffer;
  ASSERT_TRUE(SerializeResponse(response, &buffer).ok());
  EXPECT_EQ(buffer.Length(), response.ByteSizeLong());
  v1::GetPointsResponse parsed;
  ASSERT_TRUE(ParseRequest(&buffer, &parsed).ok());
  EXPECT_EQ(parsed.points(0).vector().data(), response.points(0).vector().data());

  response.add_points()->mutable_vector()->set_data(std::string(limits::kMessageBytesMax, 'x'));
  const absl::Status status = SerializeResponse(response, &buffer);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GetStatusDetails(status).reason, "RESPONSE_TOO_LARGE");
}

}  // namespace
}  // namespace tessera
