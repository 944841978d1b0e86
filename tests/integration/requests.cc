#include "tests/integration/requests.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/vectors.h"
#include "index/base/status_macros.h"

namespace tessera {
namespace {

constexpr size_t kImportChunkBytes = 100'000;

}  // namespace

absl::StatusOr<v1::Operation> TrainAndWait(Client& client, const std::string& collection) {
  v1::TrainRequest request;
  request.set_collection_name(collection);
  ASSIGN_OR_RETURN(const v1::Operation operation, client.Train(request));
  return client.WaitOperation(operation.operation_id(), nullptr, absl::Minutes(5));
}

std::string IdText(const v1::PointId& id) {
  if (id.kind_case() == v1::PointId::kNum) return absl::StrCat(id.num());
  return absl::StrCat("\"", id.str(), "\"");
}

v1::SearchRequest MakeSearch(const std::string& collection, std::span<const float> queries,
                             uint32_t limit) {
  v1::SearchRequest request;
  request.set_collection_name(collection);
  *request.mutable_vectors() = MakeVectors(queries);
  request.set_limit(limit);
  return request;
}

std::vector<std::vector<std::string>> HitIds(const v1::SearchResponse& response) {
  std::vector<std::vector<std::string>> ids;
  for (const v1::SearchResult& result : response.results()) {
    std::vector<std::string>& row = ids.emplace_back();
    for (const v1::ScoredPoint& hit : result.hits()) row.push_back(IdText(hit.id()));
  }
  return ids;
}

double Recall(const v1::SearchResponse& response, std::span<const std::vector<int>> ground_truth,
              size_t k) {
  const std::vector<std::vector<std::string>> ids = HitIds(response);
  size_t found = 0;
  for (size_t q = 0; q < ids.size(); ++q) {
    const auto end = ids[q].begin() + static_cast<ptrdiff_t>(std::min(k, ids[q].size()));
    for (size_t i = 0; i < k; ++i) {
      found += std::find(ids[q].begin(), end, absl::StrCat(ground_truth[q][i])) != end;
    }
  }
  return static_cast<double>(found) / static_cast<double>(ground_truth.size() * k);
}

absl::StatusOr<std::map<std::string, v1::Point>> ScrollAll(Client& client,
                                                           const std::string& collection,
                                                           uint32_t page_size, bool with_fields) {
  v1::ScrollRequest request;
  request.set_collection_name(collection);
  request.set_page_size(page_size);
  request.mutable_with_payload()->set_enable(with_fields);
  request.set_with_vectors(with_fields);
  std::map<std::string, v1::Point> points;
  do {
    ASSIGN_OR_RETURN(v1::ScrollResponse page, client.Scroll(request));
    if (page_size != 0 && page.points_size() > static_cast<int>(page_size)) {
      return absl::InternalError("a page is larger than was asked for");
    }
    for (v1::Point& point : *page.mutable_points()) {
      const std::string id = IdText(point.id());
      if (!points.emplace(id, std::move(point)).second) {
        return absl::InternalError(absl::StrCat("point ", id, " came twice"));
      }
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return points;
}

v1::UpsertRequest MakeUpsert(const std::string& collection, const v1::PointId& id,
                             std::span<const float> vector, const std::string& payload) {
  v1::UpsertRequest request;
  request.set_collection_name(collection);
  if (id.kind_case() == v1::PointId::kNum) {
    request.mutable_ids()->add_num(id.num());
  } else {
    request.mutable_ids()->add_str(id.str());
  }
  *request.mutable_vectors() = MakeVectors(vector);
  request.add_payloads(payload);
  return request;
}

v1::GetPointsRequest MakeGet(const std::string& collection, std::span<const uint64_t> ids) {
  v1::GetPointsRequest request;
  request.set_collection_name(collection);
  *request.mutable_ids() = MakePointIds(ids);
  request.mutable_with_payload()->set_enable(true);
  request.set_with_vectors(true);
  return request;
}

v1::DeletePointsRequest MakeDelete(const std::string& collection, std::span<const uint64_t> ids) {
  v1::DeletePointsRequest request;
  request.set_collection_name(collection);
  *request.mutable_ids() = MakePointIds(ids);
  return request;
}

absl::StatusOr<std::string> ExportCodebook(Client& client, const std::string& collection,
                                           uint32_t version) {
  std::string bytes;
  RETURN_IF_ERROR(client.ExportCodebook(collection, version, [&](std::string_view chunk) {
    bytes.append(chunk);
    return absl::OkStatus();
  }));
  return bytes;
}

absl::StatusOr<v1::Operation> ImportCodebook(Client& client, const std::string& collection,
                                             const std::string& bytes) {
  size_t at = 0;
  const auto source = [&]() -> absl::StatusOr<std::string> {
    const size_t n = std::min(kImportChunkBytes, bytes.size() - at);
    at += n;
    return bytes.substr(at - n, n);
  };
  ASSIGN_OR_RETURN(const v1::Operation operation, client.ImportCodebook(collection, source));
  return client.WaitOperation(operation.operation_id(), nullptr, absl::Minutes(5));
}

}  // namespace tessera
