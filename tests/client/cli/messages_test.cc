#include "client/cli/messages.h"

#include <vector>

#include "client/cli/exit_code.h"
#include "client/cpp/vectors.h"
#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

TEST(Messages, HitsAsJson) {
  v1::ScoredPoint hit;
  *hit.mutable_id() = MakePointId(uint64_t{1} << 60);
  hit.set_score(0.9f);
  hit.set_score_is_exact(true);
  hit.set_payload("{\"b\":1,\"a\":[2]}");
  const std::vector<float> vector = {0.1f, -2.0f};
  *hit.mutable_vector() = MakeVectors(vector);
  EXPECT_EQ(ToJson(hit).dump(),
            "{\"id\":1152921504606846976,\"score\":0.9,\"score_is_exact\":true,"
            "\"payload\":{\"b\":1,\"a\":[2]},\"vector\":[0.1,-2.0]}");
}

TEST(Messages, WhatWasNotAskedForIsLeftOut) {
  v1::Point point;
  *point.mutable_id() = MakePointId("7");
  EXPECT_EQ(ToJson(point).dump(), "{\"id\":\"7\"}");
}

TEST(Messages, IdsOfBothKindsLookDifferent) {
  EXPECT_EQ(ToText(MakePointId(uint64_t{7})), "7");
  EXPECT_EQ(ToText(MakePointId("7")), "\"7\"");
}

TEST(Messages, PayloadsThatDoNotParseAreShownAsText) {
  EXPECT_TRUE(PayloadToJson("").is_null());
  EXPECT_EQ(PayloadToJson("{oops"), Json("{oops"));
}

TEST(Messages, FieldsOfPayloadsAsText) {
  const Json payload = PayloadToJson(
      "{\"word\":\"salmon\",\"synonyms\":[\"a\",\"b\"],\"senses\":3,\"none\":null,\"o\":{\"x\":1}"
      "}");
  EXPECT_EQ(PayloadField(payload, "word"), "salmon");
  EXPECT_EQ(PayloadField(payload, "synonyms"), "a, b");
  EXPECT_EQ(PayloadField(payload, "senses"), "3");
  EXPECT_EQ(PayloadField(payload, "none"), "");
  EXPECT_EQ(PayloadField(payload, "o"), "{\"x\":1}");
  EXPECT_EQ(PayloadField(payload, "absent"), "");
  EXPECT_EQ(PayloadField(Json(), "word"), "");
  EXPECT_EQ(PayloadField(payload, "o.x"), "1");
  EXPECT_EQ(PayloadField(payload, "o.y"), "");
  EXPECT_EQ(PayloadField(Json::parse(R"({"a":[{"n":"x"},{"m":1},{"n":[2,3]}]})"), "a.n"),
            "x, 2, 3");
  EXPECT_EQ(PayloadField(Json::parse(R"({"a":[[{"n":1}],{"n":null}]})"), "a.n"), "1");
}

TEST(Messages, CollectionsAsJson) {
  v1::Collection collection;
  collection.set_collection_name("words");
  collection.set_metric(v1::COSINE);
  collection.set_points(25'000);
  collection.mutable_index()->set_nbits(4);
  collection.mutable_create_time()->set_seconds(1'700'000'000);
  const Json json = ToJson(collection);
  EXPECT_EQ(json["collection_name"], "words");
  EXPECT_EQ(json["metric"], "COSINE");
  EXPECT_EQ(json["points"], 25'000);
  EXPECT_EQ(json["index"]["nbits"], 4);
  EXPECT_EQ(json["create_time"], "2023-11-14T22:13:20Z");
}

TEST(Messages, OperationsAsJson) {
  v1::Operation operation;
  operation.set_operation_id("op-1");
  operation.set_state(v1::FAILED);
  operation.mutable_error()->set_code(8);
  operation.mutable_error()->set_message("disk full");
  const Json json = ToJson(operation);
  EXPECT_EQ(json["state"], "FAILED");
  EXPECT_EQ(json["error"]["code"], "RESOURCE_EXHAUSTED");
  EXPECT_FALSE(json.contains("end_time"));
  EXPECT_FALSE(json.contains("codebook_version"));
}

TEST(Messages, NamesOfOptions) {
  EXPECT_EQ(*ParseMetric("ip"), v1::INNER_PRODUCT);
  EXPECT_EQ(*ParseMetric(""), v1::METRIC_UNSPECIFIED);
  EXPECT_EQ(*ParseElementType("int8"), v1::INT8);
  EXPECT_EQ(*ParsePlacement("disk"), v1::DISK);
  EXPECT_EQ(*ParsePlacement("disk_sq8"), v1::DISK_SQ8);
  EXPECT_EQ(ExitCodeOf(ParseMetric("hamming").status()), ExitCode::kUsage);
}

}  // namespace
}  // namespace tessera::cli
