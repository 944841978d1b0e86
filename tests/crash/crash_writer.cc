#include "tests/crash/crash_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/vectors.h"
#include "index/base/status_macros.h"
#include "tests/integration/requests.h"

namespace tessera {
namespace {

void AddId(const v1::PointId& id, v1::PointIds* ids) {
  if (id.kind_case() == v1::PointId::kNum) {
    ids->add_num(id.num());
  } else {
    ids->add_str(id.str());
  }
}

}  // namespace

v1::PointId CrashWriter::Id(uint64_t point) const {
  if (index_ % 2 == 1) return MakePointId(absl::StrCat("w", index_, "/", point));
  return MakePointId(static_cast<uint64_t>(index_) * 1'000'000 + point);
}

std::vector<float> CrashWriter::PointVector(uint64_t point, uint64_t version) const {
  std::mt19937_64 random(point * 7919 + version * 104'729 + static_cast<uint64_t>(index_));
  const auto place =
      std::upper_bound(moves_.begin(), moves_.end(), version) - moves_.begin();  // 0: everywhere
  const float middle = 2.0f * static_cast<float>(place);
  const float spread = place == 0 ? 1.0f : 0.2f;
  std::vector<float> vector;
  for (size_t d = 0; d < kDimension; ++d) {
    vector.push_back(middle + spread * (static_cast<float>(random() % 20'001) / 10'000.0f - 1.0f));
  }
  return vector;
}

std::string CrashWriter::PointPayload(uint64_t point, uint64_t version) const {
  if ((point + version) % 5 == 0) return "";
  return absl::StrCat(R"({"writer": )", index_, R"(, "point": )", point, R"(, "version": )",
                      version, R"(, "padding": ")", std::string(version % 200, 'x'), "\"}");
}

CrashWriter::Request CrashWriter::MakeRequest(Change change) {
  Request request;
  request.change = std::move(change);
  if (random_() % 2 == 0) request.id = absl::StrCat("w", index_, "/", next_version_++);
  return request;
}

CrashWriter::Change CrashWriter::MakeUpsertChange(size_t points_max) {
  Change change;
  const size_t points = 1 + random_() % points_max;
  while (change.size() < points) change[random_() % kPoints] = next_version_++;
  return change;
}

CrashWriter::Change CrashWriter::MakeDeleteChange() {
  Change change;
  const size_t points = 1 + random_() % 20;
  while (change.size() < points) change[random_() % kPoints] = 0;
  return change;
}

v1::UpsertRequest CrashWriter::ToUpsert(const Request& request) const {
  v1::UpsertRequest upsert;
  upsert.set_collection_name(collection_);
  upsert.set_request_id(request.id);
  std::vector<float> vectors;
  for (const auto& [point, version] : request.change) {
    AddId(Id(point), upsert.mutable_ids());
    const std::vector<float> vector = PointVector(point, version);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
    upsert.add_payloads(PointPayload(point, version));
  }
  *upsert.mutable_vectors() = MakeVectors(vectors);
  return upsert;
}

v1::DeletePointsRequest CrashWriter::ToDelete(const Request& request) const {
  v1::DeletePointsRequest remove;
  remove.set_collection_name(collection_);
  remove.set_request_id(request.id);
  for (const auto& [point, version] : request.change) AddId(Id(point), remove.mutable_ids());
  return remove;
}

CrashWriter::Change CrashWriter::MatchingFilter() const {
  Change change;
  for (const auto& [point, version] : state_) {
    if (!PointPayload(point, version).empty()) change[point] = 0;
  }
  return change;
}

v1::DeleteByFilterRequest CrashWriter::ToDeleteByFilter(const Request& request) const {
  v1::DeleteByFilterRequest remove;
  remove.set_collection_name(collection_);
  remove.set_request_id(request.id);
  v1::Condition* condition = remove.mutable_filter()->add_must();
  condition->set_key("writer");
  condition->mutable_match()->set_integer(index_);
  return remove;
}

absl::StatusOr<uint64_t> CrashWriter::SendDelete(Client& client, const Request& request) const {
  if (request.by_filter) {
    ASSIGN_OR_RETURN(const auto response, client.DeleteByFilter(ToDeleteByFilter(request)));
    return response.points();
  }
  ASSIGN_OR_RETURN(const auto response, client.DeletePoints(ToDelete(request)));
  return response.points();
}

// More points than a deletion removes the records of at once.
absl::Status CrashWriter::DeleteMany(Client& client, std::atomic<size_t>& acknowledged) {
  for (uint64_t begin = 0; begin < kPoints; begin += kPoints / 3) {
    Change change;
    for (uint64_t i = 0; i < kPoints / 3; ++i) change[begin + i] = next_version_++;
    RETURN_IF_ERROR(Send(client, MakeRequest(std::move(change)), acknowledged));
  }
  Request request = MakeRequest(MatchingFilter());
  request.by_filter = true;
  ++large_deletions_;
  RETURN_IF_ERROR(Send(client, request, acknowledged));
  ++large_deletions_answered_;
  return absl::OkStatus();
}

void CrashWriter::Apply(const Change& change, PointVersions& state) {
  for (const auto& [point, version] : change) {
    if (version == 0) {
      state.erase(point);
    } else {
      state[point] = version;
    }
  }
}

void CrashWriter::Acknowledge(size_t requests, std::atomic<size_t>& acknowledged) {
  for (size_t i = 0; i < requests; ++i) {
    Apply(in_flight_.front().change, state_);
    in_flight_.pop_front();
  }
  requests_acknowledged_ += requests;
  acknowledged.fetch_add(requests);
}

absl::Status CrashWriter::WriteStream(Client& client, std::atomic<size_t>& acknowledged) {
  auto upserter =
      client.StartBulkUpsert({.collection_name = collection_, .chunks_in_flight_max = 4});
  size_t known = 0;
  const auto note = [&] {
    Acknowledge(upserter->acknowledged_chunks() - known, acknowledged);
    known = upserter->acknowledged_chunks();
  };
  const size_t chunks = 5 + random_() % 15;
  absl::Status status;
  for (size_t i = 0; i < chunks && status.ok(); ++i) {
    in_flight_.push_back(MakeRequest(MakeUpsertChange(60)));
    status = upserter->Write(ToUpsert(in_flight_.back()));
    note();
  }
  const absl::Status finished = upserter->Finish();
  note();
  return status.ok() ? finished : status;
}

absl::Status CrashWriter::Send(Client& client, const Request& request,
                               std::atomic<size_t>& acknowledged) {
  const bool remove = request.change.begin()->second == 0;
  in_flight_.push_back(request);
  // Sent again it deletes what matches now.
  if (request.by_filter) in_flight_.back().change = MatchingFilter();
  uint64_t answered = 0;
  uint64_t expected = 0;
  if (remove) {
    for (const auto& [point, version] : in_flight_.back().change) {
      expected += state_.contains(point);
    }
    ASSIGN_OR_RETURN(answered, SendDelete(client, request));
  } else {
    expected = request.change.size();
    ASSIGN_OR_RETURN(const v1::UpsertResponse response, client.Upsert(ToUpsert(request)));
    answered = response.points();
  }
  if (answered != expected) {
    return absl::InternalError(absl::StrCat(remove ? "a delete" : "an upsert", " counts ", answered,
                                            " points and not ", expected));
  }
  Acknowledge(1, acknowledged);
  return absl::OkStatus();
}

// Sends what the last crash met again: what was lost as it is, what was kept after other writes of
// its points, which it must leave as they are.
absl::Status CrashWriter::Repeat(Client& client, std::atomic<size_t>& acknowledged) {
  while (!lost_.empty()) {
    const Request request = std::exchange(lost_.front(), {});
    lost_.pop_front();
    ++lost_repeated_;
    RETURN_IF_ERROR(Send(client, request, acknowledged));
  }
  while (!kept_.empty()) {
    const Request request = std::exchange(kept_.front(), {});
    kept_.pop_front();
    Change change = request.change;
    const bool remove = change.begin()->second == 0;
    for (auto& [point, version] : change) version = remove ? next_version_++ : 0;
    RETURN_IF_ERROR(Send(client, {.change = change}, acknowledged));
    ++kept_repeated_;
    if (remove) {
      RETURN_IF_ERROR(SendDelete(client, request).status());
    } else {
      RETURN_IF_ERROR(client.Upsert(ToUpsert(request)).status());
    }
  }
  return absl::OkStatus();
}

void CrashWriter::Run(Client& client, std::atomic<size_t>& acknowledged) {
  last_error_ = Repeat(client, acknowledged);
  if (last_error_.ok() && std::exchange(delete_many_, false)) {
    last_error_ = DeleteMany(client, acknowledged);
  }
  while (last_error_.ok()) {
    const uint64_t kind = only_streams_ ? 0 : random_() % 10;
    if (kind < 4) {
      last_error_ = WriteStream(client, acknowledged);
    } else if (kind < 7) {
      last_error_ = Send(client, MakeRequest(MakeUpsertChange(10)), acknowledged);
    } else {
      last_error_ = Send(client, MakeRequest(MakeDeleteChange()), acknowledged);
    }
  }
}

absl::Status CrashWriter::Compare(const PointVersions& expected,
                                  const std::map<std::string, v1::Point>& stored) const {
  for (const auto& [id, point] : stored) {
    const size_t slash = id.find('/');
    const uint64_t number =
        index_ % 2 == 1 ? std::stoull(id.substr(slash + 1)) : point.id().num() % 1'000'000;
    const auto found = expected.find(number);
    if (found == expected.end()) {
      return absl::DataLossError(absl::StrCat("point ", id, " is there, but was deleted or never ",
                                              "written: ", point.payload()));
    }
    const std::vector<float> vector = PointVector(number, found->second);
    if (point.vector().data() != MakeVectors(vector).data() ||
        point.payload() != PointPayload(number, found->second)) {
      return absl::DataLossError(absl::StrCat("point ", id, " should have version ", found->second,
                                              " and has another: ", point.payload()));
    }
  }
  if (stored.size() == expected.size()) return absl::OkStatus();
  for (const auto& [number, version] : expected) {
    if (!stored.contains(IdText(Id(number)))) {
      return absl::DataLossError(
          absl::StrCat("point ", IdText(Id(number)), " of version ", version, " is missing"));
    }
  }
  return absl::InternalError("more points are stored than are expected");
}

std::map<std::string, v1::Point> CrashWriter::TakeMine(
    std::map<std::string, v1::Point>& stored) const {
  std::map<std::string, v1::Point> mine;
  for (auto it = stored.begin(); it != stored.end();) {
    const v1::PointId& id = it->second.id();
    const bool is_mine =
        id.kind_case() == v1::PointId::kNum
            ? index_ % 2 == 0 && id.num() / 1'000'000 == static_cast<uint64_t>(index_)
            : id.str().rfind(absl::StrCat("w", index_, "/"), 0) == 0;
    const auto here = it++;
    if (is_mine) mine.insert(stored.extract(here));
  }
  return mine;
}

void CrashWriter::SetPoints(PointVersions points) {
  state_ = std::move(points);
  // What is there now may not know them.
  lost_.clear();
  kept_.clear();
}

absl::Status CrashWriter::TakeAndCompare(const PointVersions& expected,
                                         std::map<std::string, v1::Point>& stored) const {
  return Compare(expected, TakeMine(stored));
}

absl::Status CrashWriter::Reconcile(std::map<std::string, v1::Point>& stored) {
  const std::map<std::string, v1::Point> mine = TakeMine(stored);
  absl::Status status = Compare(state_, mine);
  size_t applied = 0;
  PointVersions state = state_;
  while (!status.ok() && applied < in_flight_.size()) {
    Apply(in_flight_[applied++].change, state);
    if (Compare(state, mine).ok()) status = absl::OkStatus();
  }
  if (!status.ok()) {
    return absl::DataLossError(absl::StrCat(
        "writer ", index_, ", ", in_flight_.size(), " requests in flight: what is stored is not ",
        "what was acknowledged, with any first few of those: ", std::string(status.message())));
  }
  state_ = std::move(state);
  requests_kept_ += applied;
  requests_lost_ += in_flight_.size() - applied;
  // In their order, and before those that it has not come to yet.
  for (size_t i = in_flight_.size(); i-- > 0;) {
    if (!in_flight_[i].id.empty()) (i < applied ? kept_ : lost_).push_front(in_flight_[i]);
  }
  in_flight_.clear();
  return absl::OkStatus();
}

}  // namespace tessera
