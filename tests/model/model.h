#ifndef TESSERA_TESTS_MODEL_MODEL_H_
#define TESSERA_TESTS_MODEL_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/engine.h"

namespace tessera {

// What a collection should hold, and the right answer to every question about it, in the plainest
// form: the oracle that an engine is compared with. Not thread-safe.
class Model {
 public:
  struct Point {
    std::vector<float> vector;
    std::string payload;  // {"n":number}, or ""
  };

  Model(Metric metric, size_t dimension) : metric_(metric), dimension_(dimension) {}

  // The result that the engine's call must have.
  WriteResult Upsert(const std::vector<PointId>& ids, const std::vector<Point>& points);
  WriteResult Delete(const std::vector<PointId>& ids);
  // Deletes by NumberBelow(bound), with a request id: it counts if nothing matches, too.
  WriteResult DeleteBelow(int64_t bound);

  const std::map<PointId, Point>& points() const { return points_; }
  uint64_t sequence() const { return sequence_; }
  size_t dimension() const { return dimension_; }
  Metric metric() const { return metric_; }

  double Score(const Point& point, const std::vector<float>& query) const;
  // The k best scores, best first.
  std::vector<double> BestScores(const std::vector<float>& query, size_t k) const;

 private:
  const Metric metric_;
  const size_t dimension_;
  std::map<PointId, Point> points_;
  uint64_t sequence_ = 0;
};

// Holds for the payload {"n":number}, which a point may have, if the number is below the bound.
Filter NumberBelow(int64_t bound);

// What is wrong with the engine's collection, or "". Compares counts, the scrolled set and every
// point's bytes, the sequence, and exhaustive and approximate searches of `queries`.
std::string CompareWithModel(Engine& engine, const std::string& collection, const Model& model,
                             const std::vector<std::vector<float>>& queries);

// The share of the true `k` nearest that approximate searches with `nprobe` find.
double RecallAt(Engine& engine, const std::string& collection, const Model& model,
                const std::vector<std::vector<float>>& queries, size_t k, uint32_t nprobe);

}  // namespace tessera

#endif  // TESSERA_TESTS_MODEL_MODEL_H_
