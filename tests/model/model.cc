#include "tests/model/model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace tessera {
namespace {

// Scores are computed in single precision, and in another order than the model's.
bool Near(double a, double b) { return std::abs(a - b) <= 1e-4 * (1 + std::abs(b)); }

std::string Describe(const PointId& id) {
  if (const auto* number = std::get_if<uint64_t>(&id)) return absl::StrCat(*number);
  return std::get<std::string>(id);
}

std::string CompareScroll(Engine& engine, const std::string& collection, const Model& model) {
  std::string token;
  ElementType type;
  auto expected = model.points().begin();
  do {
    auto page = engine.ScrollPoints(collection, 97, token, {},
                                    {.payload = {.enabled = true}, .vector = true}, &type);
    if (!page.ok()) return absl::StrCat("scroll: ", page.status().ToString());
    for (const PointData& point : page->points) {
      if (expected == model.points().end() || point.id != expected->first) {
        return absl::StrCat("scroll has point ", Describe(point.id), ", which is not next");
      }
      const auto& [id, model_point] = *expected++;
      const size_t bytes = model_point.vector.size() * sizeof(float);
      if (point.payload != model_point.payload || point.vector.size() != bytes ||
          std::memcmp(point.vector.data(), model_point.vector.data(), bytes) != 0) {
        return absl::StrCat("point ", Describe(id), " has other bytes");
      }
    }
    token = page->next_page_token;
  } while (!token.empty());
  if (expected == model.points().end()) return "";
  return absl::StrCat("scroll lacks point ", Describe(expected->first));
}

absl::StatusOr<std::vector<Hit>> Search(Engine& engine, const std::string& collection,
                                        const std::vector<float>& query, size_t limit, bool exact,
                                        uint32_t nprobe) {
  SearchRequest request;
  request.collection = collection;
  request.vectors = {reinterpret_cast<const std::byte*>(query.data()), ElementType::kFloat32, 1,
                     query.size()};
  request.limit = limit;
  request.exact = exact;
  request.nprobe = nprobe;
  request.fields.payload.enabled = true;
  auto result = engine.Search(request);
  if (!result.ok()) return result.status();
  return std::move(result->hits[0]);
}

// Every hit exists, comes once, and has its own score and payload; scores come in order.
std::string CheckHits(const Model& model, const std::vector<float>& query,
                      const std::vector<Hit>& hits) {
  const double sign = model.metric() == Metric::kL2 ? 1 : -1;
  std::set<PointId> seen;
  for (size_t i = 0; i < hits.size(); ++i) {
    const Hit& hit = hits[i];
    const auto point = model.points().find(hit.id);
    if (point == model.points().end()) {
      return absl::StrCat("hit ", Describe(hit.id), " does not exist");
    }
    if (!seen.insert(hit.id).second) return absl::StrCat("hit ", Describe(hit.id), " comes twice");
    if (hit.payload != point->second.payload) {
      return absl::StrCat("hit ", Describe(hit.id), " has another payload");
    }
    const double score = model.Score(point->second, query);
    if (!Near(hit.score, score)) {
      return absl::StrCat("hit ", Describe(hit.id), " has score ", hit.score, ", not ", score);
    }
    if (i > 0 && sign * hits[i - 1].score > sign * hit.score) return "hits are not in order";
  }
  return "";
}

}  // namespace

WriteResult Model::Upsert(const std::vector<PointId>& ids, const std::vector<Point>& points) {
  for (size_t i = 0; i < ids.size(); ++i) points_[ids[i]] = points[i];
  return {ids.size(), ++sequence_};
}

WriteResult Model::DeleteBelow(int64_t bound) {
  const size_t deleted = std::erase_if(points_, [&](const auto& entry) {
    int64_t number = 0;
    absl::string_view text = entry.second.payload;
    return absl::ConsumePrefix(&text, "{\"n\":") && absl::ConsumeSuffix(&text, "}") &&
           absl::SimpleAtoi(text, &number) && number < bound;
  });
  return {.points = deleted, .sequence = ++sequence_};
}

WriteResult Model::Delete(const std::vector<PointId>& ids) {
  WriteResult result{0, ++sequence_};
  for (const PointId& id : ids) result.points += points_.erase(id);
  return result;
}

double Model::Score(const Point& point, const std::vector<float>& query) const {
  double sum = 0, point_norm = 0, query_norm = 0;
  for (size_t j = 0; j < dimension_; ++j) {
    const double a = point.vector[j], b = query[j];
    sum += metric_ == Metric::kL2 ? (a - b) * (a - b) : a * b;
    point_norm += a * a;
    query_norm += b * b;
  }
  return metric_ == Metric::kCosine ? sum / std::sqrt(point_norm * query_norm) : sum;
}

std::vector<double> Model::BestScores(const std::vector<float>& query, size_t k) const {
  std::vector<double> scores;
  for (const auto& [id, point] : points_) scores.push_back(Score(point, query));
  if (metric_ == Metric::kL2) {
    std::sort(scores.begin(), scores.end());
  } else {
    std::sort(scores.begin(), scores.end(), std::greater<>());
  }
  scores.resize(std::min(k, scores.size()));
  return scores;
}

Filter NumberBelow(int64_t bound) {
  NumberRange range;
  range.bounds.lt = static_cast<Number>(bound);
  Filter filter;
  filter.must.push_back({FieldCondition{FieldPath("n"), range}});
  return filter;
}

std::string CompareWithModel(Engine& engine, const std::string& collection, const Model& model,
                             const std::vector<std::vector<float>>& queries) {
  const auto info = engine.GetCollection(collection);
  if (!info.ok()) return info.status().ToString();
  if (info->points != model.points().size()) {
    return absl::StrCat("count is ", info->points, ", not ", model.points().size());
  }
  if (info->sequence != model.sequence()) {
    return absl::StrCat("the sequence is ", info->sequence, ", not ", model.sequence());
  }
  if (std::string wrong = CompareScroll(engine, collection, model); !wrong.empty()) return wrong;
  const size_t all = std::max<size_t>(model.points().size(), 1);
  for (const auto& query : queries) {
    for (const size_t limit : {size_t{10}, all}) {
      const auto hits = Search(engine, collection, query, limit, /*exact=*/true, 0);
      if (!hits.ok()) return absl::StrCat("exact search: ", hits.status().ToString());
      if (std::string wrong = CheckHits(model, query, *hits); !wrong.empty()) return wrong;
      const std::vector<double> best = model.BestScores(query, limit);
      if (hits->size() != best.size()) {
        return absl::StrCat("exact search of ", limit, " has ", hits->size(), " hits");
      }
      for (size_t i = 0; i < best.size(); ++i) {
        if (!Near((*hits)[i].score, best[i])) {
          return absl::StrCat("exact hit ", i, " has score ", (*hits)[i].score, ", not ", best[i]);
        }
      }
    }
    // Through all lists with all candidates reranked, nothing is missed either.
    const auto everything = Search(engine, collection, query, all, /*exact=*/false, 1u << 20);
    if (!everything.ok()) return absl::StrCat("search: ", everything.status().ToString());
    if (everything->size() != model.points().size()) {
      return absl::StrCat("a search of all lists has ", everything->size(), " hits");
    }
    if (std::string wrong = CheckHits(model, query, *everything); !wrong.empty()) return wrong;
    const auto few = Search(engine, collection, query, 10, /*exact=*/false, 1);
    if (!few.ok()) return absl::StrCat("search: ", few.status().ToString());
    if (std::string wrong = CheckHits(model, query, *few); !wrong.empty()) return wrong;
  }
  return "";
}

double RecallAt(Engine& engine, const std::string& collection, const Model& model,
                const std::vector<std::vector<float>>& queries, size_t k, uint32_t nprobe) {
  const double sign = model.metric() == Metric::kL2 ? 1 : -1;
  double found = 0, wanted = 0;
  for (const auto& query : queries) {
    const std::vector<double> best = model.BestScores(query, k);
    if (best.empty()) continue;
    const auto hits = Search(engine, collection, query, k, /*exact=*/false, nprobe);
    if (!hits.ok()) return -1;
    const double worst = sign * best.back();
    for (const Hit& hit : *hits) {
      found += sign * hit.score <= worst + 1e-4 * (1 + std::abs(worst)) ? 1 : 0;
    }
    wanted += static_cast<double>(best.size());
  }
  return wanted == 0 ? 1 : found / wanted;
}

}  // namespace tessera
