// Pages of points in the order of a payload field's values.
//
// The order is total, by value and then by id, and a page token is a place in it, so that what is
// written between two pages moves no other point.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/answer_room.h"
#include "server/engine/collection_reader.h"
#include "server/engine/errors.h"
#include "server/engine/page_token.h"
#include "server/filter/datetime.h"
#include "server/filter/evaluate.h"
#include "server/filter/fingerprint.h"
#include "server/filter/json_value.h"
#include "server/filter/number_bounds.h"

namespace tessera {
namespace {

// Points read for one page; those that turn out not to match make it shorter.
constexpr size_t kReadPointsForPage = size_t{64} << 10;
// Points read at a time where a filter can only be decided by reading; more each time, since to
// find the next ones may take a look at every point of a value.
constexpr size_t kReadStep = 256;
constexpr size_t kLargestReadStep = 8'192;
// Bounds what is in memory of a page that is too large.
constexpr size_t kPointsAtOnce = 1'024;

// A point at one of its values.
struct Place {
  FieldIndex::Value value;
  PointId id;
  Slot slot = 0;
};

absl::Status NoOrder(std::string_view reason, const ScrollOrder& order, std::string_view what) {
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, reason,
      absl::StrCat("order_by.key: the index of ", order.key.text(), " ", std::string(what)));
}

// The value of the index's type that a page is to start from.
absl::StatusOr<std::optional<FieldIndex::Value>> StartValue(const ScrollOrder& order,
                                                            PayloadIndexType type) {
  using Start = std::optional<FieldIndex::Value>;
  if (std::holds_alternative<std::monostate>(order.start_from)) return Start();
  const auto* integer = std::get_if<int64_t>(&order.start_from);
  const auto* number = std::get_if<double>(&order.start_from);
  const auto* text = std::get_if<std::string>(&order.start_from);
  switch (type) {
    case PayloadIndexType::kInteger:
      if (integer != nullptr) return Start(*integer);
      break;
    case PayloadIndexType::kFloat:
      // Those that lie behind it in the order: it may be no double.
      if (integer != nullptr) {
        return Start(order.descending ? *BoundsOfDoubles({.lte = Number(*integer)}).lte
                                      : *BoundsOfDoubles({.gte = Number(*integer)}).gte);
      }
      if (number != nullptr && *number == *number) return Start(*number);
      break;
    case PayloadIndexType::kKeyword:
      if (text != nullptr) return Start(*text);
      break;
    case PayloadIndexType::kDatetime:
      if (text == nullptr) break;
      if (const auto time = ParseDatetime(*text)) return Start(*time);
      break;
    case PayloadIndexType::kBool:
      break;
  }
  return InvalidField("order_by.start_from",
                      absl::StrCat("is no value of the index of ", order.key.text()));
}

// The `ids_max` first points that have `value`, by id, of those behind `after` if it has that
// value.
void AppendByIds(const FieldIndex::Value& value, const Roaring& slots, const SlotTable& table,
                 const std::optional<OrderPosition>& after, size_t ids_max,
                 std::vector<Place>* places) {
  const auto before = [](const Place& a, const Place& b) { return a.id < b.id; };
  std::vector<Place> found;
  const auto keep_first = [&] {
    if (found.size() <= ids_max) return;
    const auto end = found.begin() + static_cast<std::ptrdiff_t>(ids_max);
    std::nth_element(found.begin(), end, found.end(), before);
    found.resize(ids_max);
  };
  const bool behind = after.has_value() && after->value == value;
  for (Slot slot : slots) {
    Place place{value, table.id(slot), slot};
    if (behind && !(after->id < place.id)) continue;
    found.push_back(std::move(place));
    if (found.size() >= 2 * ids_max + kReadStep) keep_first();
  }
  keep_first();
  std::sort(found.begin(), found.end(), before);
  std::move(found.begin(), found.end(), std::back_inserter(*places));
}

// The next places in the order, at most `places_max`: fewer are the last.
std::vector<Place> NextPlaces(const FieldIndex& index, const SlotTable& table, bool descending,
                              const std::optional<FieldIndex::Value>& from,
                              const std::optional<OrderPosition>& after, const Roaring* within,
                              size_t places_max) {
  std::vector<Place> places;
  index.Walk(descending, from, within, [&](const auto& value, const Posting& posting) {
    Roaring slots;
    posting.AddTo(&slots);
    if (within != nullptr) slots &= *within;
    AppendByIds(value, slots, table, after, places_max - places.size(), &places);
    return places.size() < places_max;
  });
  return places;
}

// The value by which a point with this payload comes; nullopt if it has none.
std::optional<FieldIndex::Value> OrderValue(const PayloadIndexSpec& spec, bool descending,
                                            std::string_view payload) {
  FieldColumn column(spec.type);
  column.Add(spec, ParsePayload(payload), /*slot=*/0);
  return std::visit(
      [&](const auto& entries) -> std::optional<FieldIndex::Value> {
        if (entries.empty()) return std::nullopt;
        const auto [least, greatest] = std::minmax_element(entries.begin(), entries.end());
        return descending ? greatest->first : least->first;
      },
      column.entries);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const FieldIndex>> CollectionReader::OrderIndex(
    const CollectionView& view, const ScrollOrder& order) const {
  if (std::string problem = order.key.Violation(); !problem.empty()) {
    return InvalidField("order_by.key", problem);
  }
  const auto field = view.indexes->fields.find(order.key.text());
  if (field == view.indexes->fields.end()) {
    return NoOrder("PAYLOAD_INDEX_MISSING", order, "is missing; an order needs one");
  }
  if (!field->second.ready) {
    return NoOrder("PAYLOAD_INDEX_BUILDING", order, "is being built; try again when it is ready");
  }
  return field->second.index;
}

absl::StatusOr<ScrollPage> CollectionReader::ScrollInOrder(const ScrollOrder& order,
                                                           size_t page_size,
                                                           const std::string& page_token,
                                                           const Filter& filter,
                                                           const PointFields& fields) const {
  // Held until the page is read: its slots keep their points or lose them.
  const auto now = view();
  ASSIGN_OR_RETURN(const auto index, OrderIndex(*now, order));
  const PayloadIndexSpec& spec = index->spec();
  const OrderTokenScope scope{id_, order.key.text(), spec.type, order.descending,
                              FilterFingerprint(filter)};
  std::optional<OrderPosition> after;
  if (!page_token.empty()) {
    ASSIGN_OR_RETURN(after, DecodeOrderToken(page_token, scope));
  }
  ASSIGN_OR_RETURN(std::optional<FieldIndex::Value> from, StartValue(order, spec.type));
  SlotAnswer answer;
  if (!filter.empty()) {
    ASSIGN_OR_RETURN(IndexedAnswer indexed, AnswerFilter(*now, filter));
    answer = std::move(indexed.slots);
  }
  const Roaring possible = answer.possible();
  const Roaring* within = filter.empty() ? nullptr : &possible;

  if (page_size == 0) page_size = limits::kPageSizeDefault;
  ScrollPage page;
  AnswerRoom room;
  bool more = true;
  size_t step_min = answer.decided() ? 0 : kReadStep;
  for (size_t read = 0; more && page.points.size() < page_size && read < kReadPointsForPage;) {
    const size_t missing = std::min(page_size - page.points.size(), kPointsAtOnce);
    const size_t step = std::max(missing, step_min);
    step_min = std::clamp(2 * step_min, kReadStep, kLargestReadStep);
    if (after.has_value()) from = after->value;
    // One more tells whether there are more.
    std::vector<Place> places =
        NextPlaces(*index, table_, order.descending, from, after, within, step + 1);
    more = places.size() > step;
    if (more) places.pop_back();
    read += places.size();
    std::vector<Slot> slots;
    for (const Place& place : places) slots.push_back(place.slot);
    std::vector<std::optional<PointData>> points(places.size());
    RETURN_IF_ERROR(ReadSlotsOrIds(slots, [&](size_t i, const PointRecordView& record) {
      // Also where the indexes were certain: the point may have been replaced since.
      const bool matches = filter.empty() || MatchesText(filter, record.id, record.payload);
      // Of a point's values only the first counts.
      if (!matches || OrderValue(spec, order.descending, record.payload) != places[i].value) {
        return absl::OkStatus();
      }
      PointData& point = points[i].emplace();
      point.id = places[i].id;
      if (fields.vector) point.vector = std::string(record.vector);
      point.payload = SelectPayload(record.payload, fields.payload);
      return absl::OkStatus();
    }));
    for (size_t i = 0; i < places.size(); ++i) {
      if (page.points.size() == page_size) {
        more = true;
        break;
      }
      if (points[i].has_value()) {
        RETURN_IF_ERROR(room.Take(points[i]->vector.size() + points[i]->payload.size()));
        page.points.push_back(*std::move(points[i]));
      }
      after = OrderPosition{std::move(places[i].value), std::move(places[i].id)};
    }
  }
  if (more && after.has_value()) page.next_page_token = EncodeOrderToken(scope, *after);
  return page;
}

}  // namespace tessera
