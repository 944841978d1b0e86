#include "server/rpc/convert_filter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "google/protobuf/unknown_field_set.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/filter/datetime.h"
#include "server/rpc/convert_types.h"

namespace tessera {
namespace {

// What a whole filter has had so far. The engine checks it too, but what a message brings beyond
// the limits may be a thousand times as much, and is not converted for that.
class Tally {
 public:
  absl::Status AddCondition(const std::string& path) {
    if (++conditions_ <= limits::kFilterConditionsMax) return absl::OkStatus();
    return InvalidField(path, absl::StrCat("is one condition too many; a filter has at most ",
                                           limits::kFilterConditionsMax));
  }
  absl::Status AddValues(int values, const std::string& path) {
    values_ += static_cast<size_t>(values);
    if (values_ <= limits::kFilterValuesMax) return absl::OkStatus();
    return InvalidField(path, absl::StrCat("brings the values and ids of the filter to ", values_,
                                           "; at most ", limits::kFilterValuesMax, " are allowed"));
  }

 private:
  size_t conditions_ = 0;
  size_t values_ = 0;
};

absl::StatusOr<Filter> ToFilterAt(const v1::Filter& filter, const std::string& path, size_t depth,
                                  Tally& tally);

// What this server does not know may have narrowed the filter: without it, more would be found, or
// deleted, than is meant.
absl::Status RefuseUnknown(const google::protobuf::Message& message, const std::string& path) {
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  if (unknown.empty()) return absl::OkStatus();
  return InvalidField(path, absl::StrCat("has a field of number ", unknown.field(0).number(),
                                         ", which this server does not know"));
}

template <class Message, class T>
Bounds<T> ToBounds(const Message& message) {
  Bounds<T> bounds;
  if (message.has_lt()) bounds.lt = message.lt();
  if (message.has_lte()) bounds.lte = message.lte();
  if (message.has_gt()) bounds.gt = message.gt();
  if (message.has_gte()) bounds.gte = message.gte();
  return bounds;
}

absl::Status ReadTime(bool has, const std::string& text, const std::string& path,
                      std::optional<int64_t>* bound) {
  if (!has) return absl::OkStatus();
  *bound = ParseDatetime(text);
  if (bound->has_value()) return absl::OkStatus();
  return InvalidField(path, "is no RFC 3339 time such as 2024-02-29T12:00:00Z, and no date");
}

absl::StatusOr<FieldTest> ToDatetimeRange(const v1::DatetimeRange& range, const std::string& path) {
  RETURN_IF_ERROR(RefuseUnknown(range, path));
  DatetimeRange out;
  RETURN_IF_ERROR(ReadTime(range.has_lt(), range.lt(), path + ".lt", &out.bounds.lt));
  RETURN_IF_ERROR(ReadTime(range.has_lte(), range.lte(), path + ".lte", &out.bounds.lte));
  RETURN_IF_ERROR(ReadTime(range.has_gt(), range.gt(), path + ".gt", &out.bounds.gt));
  RETURN_IF_ERROR(ReadTime(range.has_gte(), range.gte(), path + ".gte", &out.bounds.gte));
  return out;
}

// A test that is but bounds.
template <class Test, class T, class Message>
absl::StatusOr<FieldTest> ToBoundsTest(const Message& message, const std::string& path) {
  RETURN_IF_ERROR(RefuseUnknown(message, path));
  Test out{ToBounds<Message, T>(message)};
  if (out.bounds.empty()) return InvalidField(path, "has none of lt, lte, gt, gte");
  return out;
}

template <class Values, class T>
absl::Status ReadValues(const Values& values, const std::string& path, Tally& tally,
                        std::vector<T>* out) {
  RETURN_IF_ERROR(tally.AddValues(values.size(), path));
  out->assign(values.begin(), values.end());
  return absl::OkStatus();
}

absl::StatusOr<FieldTest> ToMatch(const v1::Match& match, const std::string& path, Tally& tally) {
  RETURN_IF_ERROR(RefuseUnknown(match, path));
  Match out;
  const auto read = [&](const auto& values, auto* list) {
    return ReadValues(values, path, tally, list);
  };
  switch (match.match_value_case()) {
    case v1::Match::kKeyword:
      out.keywords = {match.keyword()};
      break;
    case v1::Match::kInteger:
      out.integers = {match.integer()};
      break;
    case v1::Match::kBoolean:
      out.bools = {match.boolean()};
      break;
    case v1::Match::kKeywords:
      RETURN_IF_ERROR(read(match.keywords().strings(), &out.keywords));
      break;
    case v1::Match::kIntegers:
      RETURN_IF_ERROR(read(match.integers().integers(), &out.integers));
      break;
    case v1::Match::kExceptKeywords:
      RETURN_IF_ERROR(read(match.except_keywords().strings(), &out.keywords));
      out.except = true;
      break;
    case v1::Match::kExceptIntegers:
      RETURN_IF_ERROR(read(match.except_integers().integers(), &out.integers));
      out.except = true;
      break;
    case v1::Match::MATCH_VALUE_NOT_SET:
      break;  // the engine's check finds that there is no value
  }
  return out;
}

absl::StatusOr<FieldTest> ToPresence(bool asked, Presence presence, const std::string& path) {
  if (asked) return presence;
  return InvalidField(path, "must be true; must_not says the opposite");
}

absl::StatusOr<FieldTest> ToFieldTest(const v1::Condition& condition, const std::string& path,
                                      Tally& tally) {
  switch (condition.test_case()) {
    case v1::Condition::kMatch:
      return ToMatch(condition.match(), path + ".match", tally);
    case v1::Condition::kRange:
      return ToBoundsTest<NumberRange, Number>(condition.range(), path + ".range");
    case v1::Condition::kIntegerRange:
      return ToBoundsTest<NumberRange, Number>(condition.integer_range(), path + ".integer_range");
    case v1::Condition::kDatetimeRange:
      return ToDatetimeRange(condition.datetime_range(), path + ".datetime_range");
    case v1::Condition::kValuesCount:
      return ToBoundsTest<ValuesCount, uint64_t>(condition.values_count(), path + ".values_count");
    case v1::Condition::kPrefix:
      return Prefix{condition.prefix()};
    case v1::Condition::kExists:
      return ToPresence(condition.exists(), Presence::kExists, path + ".exists");
    case v1::Condition::kIsNull:
      return ToPresence(condition.is_null(), Presence::kIsNull, path + ".is_null");
    case v1::Condition::kIsEmpty:
      return ToPresence(condition.is_empty(), Presence::kIsEmpty, path + ".is_empty");
    default:
      return InvalidField(path, "tests nothing: fill match, range, or another test");
  }
}

absl::StatusOr<Condition> ToCondition(const v1::Condition& condition, const std::string& path,
                                      size_t depth, Tally& tally) {
  RETURN_IF_ERROR(tally.AddCondition(path));
  RETURN_IF_ERROR(RefuseUnknown(condition, path));
  Condition out;
  if (condition.has_filter() || condition.has_has_id()) {
    if (!condition.key().empty()) {
      return InvalidField(path + ".key", "is filled beside has_id or filter, which have no key");
    }
  }
  if (condition.has_filter()) {
    ASSIGN_OR_RETURN(out.kind, ToFilterAt(condition.filter(), path + ".filter", depth + 1, tally));
  } else if (condition.has_has_id()) {
    const v1::PointIds& ids = condition.has_id();
    HasId has_id;
    RETURN_IF_ERROR(tally.AddValues(ids.num_size(), path + ".has_id"));
    RETURN_IF_ERROR(tally.AddValues(ids.str_size(), path + ".has_id"));
    ASSIGN_OR_RETURN(has_id.ids, ToPointIds(ids, path + ".has_id", limits::kFilterValuesMax));
    out.kind = std::move(has_id);
  } else {
    FieldCondition field;
    field.key = FieldPath(condition.key());
    ASSIGN_OR_RETURN(field.test, ToFieldTest(condition, path, tally));
    out.kind = std::move(field);
  }
  return out;
}

absl::StatusOr<Filter> ToFilterAt(const v1::Filter& filter, const std::string& path, size_t depth,
                                  Tally& tally) {
  if (depth > limits::kFilterDepthMax) {
    return InvalidField(path, absl::StrCat("is nested deeper than ", limits::kFilterDepthMax,
                                           " levels of filters"));
  }
  RETURN_IF_ERROR(RefuseUnknown(filter, path));
  Filter out;
  const auto read = [&](const auto& messages, const char* name,
                        std::vector<Condition>* clause) -> absl::Status {
    for (int i = 0; i < messages.size(); ++i) {
      ASSIGN_OR_RETURN(
          Condition condition,
          ToCondition(messages[i], absl::StrCat(path, ".", name, "[", i, "]"), depth, tally));
      clause->push_back(std::move(condition));
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(read(filter.must(), "must", &out.must));
  RETURN_IF_ERROR(read(filter.should(), "should", &out.should));
  RETURN_IF_ERROR(read(filter.must_not(), "must_not", &out.must_not));
  return out;
}

}  // namespace

absl::StatusOr<Filter> ToFilter(const v1::Filter& filter, const std::string& field) {
  Tally tally;
  return ToFilterAt(filter, field, 1, tally);
}

absl::StatusOr<std::vector<FieldPath>> ToFieldPaths(
    const google::protobuf::RepeatedPtrField<std::string>& keys, const std::string& field) {
  RETURN_IF_ERROR(
      CheckAtMost(field, static_cast<uint64_t>(keys.size()), limits::kPayloadSelectorFieldsMax));
  std::vector<FieldPath> paths;
  for (const std::string& key : keys) {
    paths.emplace_back(key);
    if (std::string problem = paths.back().Violation(); !problem.empty()) {
      return InvalidField(absl::StrCat(field, "[", paths.size() - 1, "]"), problem);
    }
  }
  return paths;
}

absl::StatusOr<PayloadIndexSpec> ToPayloadIndexSpec(const std::string& key,
                                                    v1::PayloadIndexType type) {
  if (type < v1::KEYWORD || type > v1::BOOL) {
    return InvalidField("type", "must be KEYWORD, INTEGER, FLOAT, DATETIME or BOOL");
  }
  // The numbers of the two enumerations are the same.
  return PayloadIndexSpec{FieldPath(key), static_cast<PayloadIndexType>(type)};
}

void FromPayloadIndexInfo(const PayloadIndexInfo& info, v1::PayloadIndex* out) {
  out->set_key(info.spec.key.text());
  out->set_type(static_cast<v1::PayloadIndexType>(info.spec.type));
  out->set_ready(info.ready);
  out->set_points(info.points);
  out->set_memory_bytes(info.memory_bytes);
}

}  // namespace tessera
