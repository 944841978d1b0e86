// What a search asks for: its limits, and the vectors of its queries.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/collection_reader.h"
#include "server/engine/errors.h"

namespace tessera {

absl::Status CollectionReader::CheckSearch(const SearchRequest& request) const {
  const bool recommend = !request.positive.empty() || !request.negative.empty();
  const size_t queries = recommend             ? 1
                         : request.ids.empty() ? request.vectors.rows
                                               : request.ids.size();
  if (!request.ids.empty() && request.vectors.rows > 0) {
    return InvalidField("ids", "is filled beside vectors: fill one of the two");
  }
  if (recommend && (!request.ids.empty() || request.vectors.rows > 0)) {
    return InvalidField("recommend", "is filled beside vectors or ids: fill one of them");
  }
  if (recommend && request.positive.empty()) {
    return InvalidField("recommend.positive", "is empty");
  }
  if (request.positive.size() + request.negative.size() > limits::kRecommendExamplesMax) {
    return InvalidField("recommend",
                        absl::StrCat("has more than ", limits::kRecommendExamplesMax, " examples"));
  }
  if (request.limit == 0 || request.limit > limits::kSearchLimitMax) {
    return InvalidField("limit", absl::StrCat("is ", request.limit, "; 1 to ",
                                              limits::kSearchLimitMax, " are allowed"));
  }
  if (request.offset > limits::kSearchLimitMax - request.limit) {
    return InvalidField("offset",
                        absl::StrCat("is ", request.offset, "; with the limit of ", request.limit,
                                     " at most ", limits::kSearchLimitMax, " is allowed"));
  }
  if (queries > limits::kSearchQueriesMax) {
    return InvalidField(request.ids.empty() ? "vectors" : "ids",
                        absl::StrCat("has ", queries, " queries; at most ",
                                     limits::kSearchQueriesMax, " go into one request"));
  }
  const size_t hits = request.offset + request.limit;
  if (queries * hits > limits::kSearchResultsMax) {
    return InvalidField("limit",
                        absl::StrCat("and offset, times the number of queries, is ", queries * hits,
                                     "; at most ", limits::kSearchResultsMax, " is allowed"));
  }
  if (request.rerank > limits::kRerankMax) {
    return InvalidField("params.rerank", absl::StrCat("is ", request.rerank, "; at most ",
                                                      limits::kRerankMax, " is allowed"));
  }
  return CheckTarget(request);
}

absl::Status CollectionReader::CheckTarget(const SearchRequest& request) const {
  if (!request.target_recall.has_value()) return absl::OkStatus();
  if (!(*request.target_recall > 0 && *request.target_recall <= 1)) {
    return InvalidField("params.target_recall", absl::StrCat("is ", *request.target_recall,
                                                             ", must be over 0 and at most 1"));
  }
  if (request.nprobe > 0 || request.rerank > 0 || request.exact || request.no_rerank) {
    return InvalidField("params.target_recall",
                        "is filled beside nprobe, rerank, exact or no_rerank, must be alone");
  }
  return absl::OkStatus();
}

// The vectors of stored points, as floats. NOT_FOUND names the first that is missing.
absl::Status CollectionReader::StoredVectors(const std::vector<PointId>& ids, Matrix* rows) const {
  ASSIGN_OR_RETURN(const std::vector<PointData> points, Get(ids, PointFields{.vector = true}));
  *rows = Matrix(ids.size(), spec_.dimension);
  for (size_t i = 0; i < ids.size(); ++i) {
    // Get leaves out what is missing: the first difference is the first missing one.
    if (i >= points.size() || points[i].id != ids[i]) {
      return NotFound("point", DescribePointId(ViewOf(ids[i])));
    }
    if (points[i].vector.size() != vector_bytes()) {
      return absl::DataLossError(absl::StrCat("collection ", spec_.name, ": the vector of point ",
                                              DescribePointId(ViewOf(points[i].id)),
                                              " has the wrong size"));
    }
    ToFloat(spec_.element_type, reinterpret_cast<const std::byte*>(points[i].vector.data()),
            spec_.dimension, rows->row(i).data());
  }
  return absl::OkStatus();
}

// The mean of the positive examples, moved by its difference from the mean of the negative ones.
absl::Status CollectionReader::RecommendVector(const SearchRequest& request, Matrix* query) const {
  Matrix positive;
  RETURN_IF_ERROR(StoredVectors(request.positive, &positive));
  Matrix negative;
  if (!request.negative.empty()) RETURN_IF_ERROR(StoredVectors(request.negative, &negative));
  *query = Matrix(1, spec_.dimension);
  const auto mean = [&](const Matrix& rows, size_t column) {
    double sum = 0;
    for (size_t i = 0; i < rows.rows(); ++i) sum += rows.row(i)[column];
    return sum / static_cast<double>(rows.rows());
  };
  for (size_t j = 0; j < spec_.dimension; ++j) {
    double value = mean(positive, j);
    if (negative.rows() > 0) value += value - mean(negative, j);
    query->row(0)[j] = static_cast<float>(value);
  }
  return absl::OkStatus();
}

absl::Status CollectionReader::QueryMatrix(const SearchRequest& request, Matrix* queries) const {
  if (!request.positive.empty()) return RecommendVector(request, queries);
  if (!request.ids.empty()) return StoredVectors(request.ids, queries);
  return WidenVectors(request.vectors, "vectors", queries);
}

}  // namespace tessera
