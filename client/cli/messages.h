#ifndef TESSERA_CLIENT_CLI_MESSAGES_H_
#define TESSERA_CLIENT_CLI_MESSAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/cli/context.h"
#include "tessera/v1/codebooks.pb.h"
#include "tessera/v1/collections.pb.h"
#include "tessera/v1/operations.pb.h"
#include "tessera/v1/points.pb.h"
#include "tessera/v1/snapshots.pb.h"

// The API's messages as JSON and as text. The JSON members are named as the API's fields, ids and
// counts are JSON numbers, payloads are JSON objects. Pure functions.
namespace tessera::cli {

Json ToJson(const v1::PayloadIndex& index);
Json ToJson(const v1::Calibration& calibration);
Json ToJson(const v1::Collection& collection);
Json ToJson(const v1::Codebook& codebook);
Json ToJson(const v1::Operation& operation);
Json ToJson(const v1::Snapshot& snapshot);
Json ToJson(const v1::PointId& id);
Json ToJson(const v1::FacetValue& value);
Json ToJson(const v1::Point& point);
Json ToJson(const v1::ScoredPoint& hit);
Json ToJson(const v1::Vectors& vectors);  // an array of numbers
Json ToJson(const google::protobuf::Timestamp& time);

// A payload as an object; null if it is empty, the text itself if it does not parse.
Json PayloadToJson(const std::string& payload);

// A member of a payload, or of an object in it ("author.name"), as text: strings without quotes,
// arrays joined by ", ". Empty: absent.
std::string PayloadField(const Json& payload, const std::string& field);

std::string ToText(const v1::PointId& id);  // 7, or "seven" in quotes
std::string ToText(const google::protobuf::Timestamp& time);

// From the names that options take: "l2", "ip", "cosine"; "float32", ...; "memory", "disk",
// "disk_sq8". Empty: UNSPECIFIED.
absl::StatusOr<v1::Metric> ParseMetric(const std::string& name);
absl::StatusOr<v1::ElementType> ParseElementType(const std::string& name);
absl::StatusOr<v1::VectorPlacement> ParsePlacement(const std::string& name);
// "sync" or "async"; anything else is UNSPECIFIED.
v1::Durability ParseDurability(const std::string& name);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_MESSAGES_H_
