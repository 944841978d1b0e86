#include "index/codebook/search_trial.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "index/base/buffer.h"
#include "index/base/check.h"
#include "index/base/pq_code.h"
#include "index/base/top_k.h"
#include "index/cluster/gemm.h"
#include "index/codebook/parameters.h"
#include "index/simd/lut_scan_select.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Queries: so many, or this part of a sample that has fewer.
constexpr size_t kQueries = 256;
constexpr size_t kRowsPerQuery = 32;
// Samples of fewer vectors tell nothing.
constexpr size_t kRowsMin = 1'000;
// The queries whose neighbours are compared by their codes, at most: that takes the most time.
constexpr size_t kCodedQueries = 128;
// Queries that one thread compares with the rows, and rows that it takes at once.
constexpr size_t kQueriesAtOnce = 64;
constexpr size_t kRowsAtOnce = 2048;
// Distances are held to be no less than that of their mean: the logarithm of none is infinite.
constexpr double kLeastRatio = 1e-6;

float HalfNorm(std::span<const float> row) {
  return FloatDotProduct(row.data(), row.data(), row.size()) / 2;
}

// The value below or at which `share` of the values are, in place.
uint32_t Quantile(std::vector<uint32_t>& values, double share) {
  const auto wanted = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<ptrdiff_t>(std::max<size_t>(wanted, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

size_t CountBelow(std::span<const float> values, float limit) {
  return static_cast<size_t>(
      std::count_if(values.begin(), values.end(), [&](float value) { return value < limit; }));
}

// The lookup tables that searches use: their rounding counts where a query is far from the origin
// and its neighbours lie close together.
LutScanTables TablesOf(const ProductQuantizer& quantizer) {
  return {{quantizer.subquantizers(), quantizer.nbits()},
          quantizer.sub_dimension(),
          quantizer.codewords(0)};
}

// One query's tables of inner products, negated.
class ProductSums {
 public:
  ProductSums(const LutScanTables& lut, const float* query)
      : shape_(lut.shape()), tables_(shape_.tables_bytes()) {
    AlignedBuffer<float> scratch(shape_.tables_bytes());
    lut.Build(query, -1, tables_.data(), &scale_, &offset_, scratch.data());
  }

  float Of(const uint8_t* code) const {
    uint32_t sum = 0;
    for (uint32_t j = 0; j < shape_.subquantizers; ++j) {
      sum += tables_.data()[j * shape_.table_entries() + PqCodeword(code, j, shape_.nbits)];
    }
    return scale_ * static_cast<float>(sum) + offset_;
  }

 private:
  LutScanShape shape_;
  AlignedBuffer<uint8_t> tables_;
  float scale_ = 1, offset_ = 0;
};

}  // namespace

size_t SearchTrial::QueriesOf(size_t rows) {
  return rows < kRowsMin ? 0 : std::min(kQueries, rows / kRowsPerQuery);
}

SearchTrial::SearchTrial(const Codebook& codebook, MatrixView queries, MatrixView rows,
                         std::span<const uint32_t> drawn, std::span<const uint32_t> drawn_lists,
                         double share, Executor& executor)
    : codebook_(codebook),
      queries_(queries),
      rows_(rows),
      rank_terms_(codebook.RankTerms()),
      nearest_(queries.rows) {
  TESSERA_CHECK(queries.rows > 0 && rows.rows >= kNeighbors && !drawn.empty());
  rows_per_drawn_ = static_cast<double>(rows.rows) / static_cast<double>(drawn.size());
  for (size_t l = 0; l < codebook.nlist() && codebook.metric() == Metric::kL2; ++l) {
    half_norms_.push_back(HalfNorm(codebook.centroids().row(l)));
  }
  executor.ParallelFor(queries.rows, kQueriesAtOnce, [&](size_t begin, size_t end) {
    for (size_t first = begin; first < end; first += kQueriesAtOnce) {
      FindNearest(first, std::min(kQueriesAtOnce, end - first));
    }
  });
  std::vector<ProbeTrial::Query> ranked(queries.rows);
  executor.ParallelFor(queries.rows, 1, [&](size_t begin, size_t end) {
    for (size_t q = begin; q < end; ++q) {
      Nearest& nearest = nearest_[q];
      nearest.lists.resize(nearest.rows.size());
      codebook.Assign(RowsOf(rows_, nearest.rows), nearest.lists.data());
      ranked[q] = RankLists(q);
    }
  });
  const ProbeTrial trial(codebook.nlist(), std::move(ranked));
  probe_rule_ = trial.Choose(share);
  lists_ = trial.Lists(probe_rule_, share);
  const size_t nprobe =
      ChooseSearchDefaults(codebook.spec(), probe_rule_, {.nprobe = lists_}, rows.rows).nprobe;
  executor.ParallelFor(CodedQueries(), 1, [&](size_t begin, size_t end) {
    for (size_t q = begin; q < end; ++q) {
      ChooseCompared(drawn, drawn_lists, trial.Count(probe_rule_, q, nprobe), q);
    }
  });
}

size_t SearchTrial::CodedQueries() const { return std::min(kCodedQueries, queries_.rows); }

void SearchTrial::FindNearest(size_t first_query, size_t count) {
  std::vector<TopK> nearest;
  for (size_t q = first_query; q < first_query + count; ++q) {
    nearest.emplace_back(q < kCodedQueries ? kNear : kNeighbors);
  }
  std::vector<float> products(count * kRowsAtOnce);
  std::vector<float> half_norms(kRowsAtOnce);  // zeros but for L2
  for (size_t first = 0; first < rows_.rows; first += kRowsAtOnce) {
    const MatrixView block = rows_.Rows(first, std::min(kRowsAtOnce, rows_.rows - first));
    InnerProducts(queries_.Rows(first_query, count), block, products.data(), kRowsAtOnce);
    for (size_t i = 0; i < block.rows && codebook_.metric() == Metric::kL2; ++i) {
      half_norms[i] = HalfNorm(block.row(i));
    }
    for (size_t q = 0; q < count; ++q) {
      for (size_t i = 0; i < block.rows; ++i) {
        nearest[q].Push(half_norms[i] - products[q * kRowsAtOnce + i],
                        static_cast<Slot>(first + i));
      }
    }
  }
  for (size_t q = 0; q < count; ++q) {
    for (const Neighbor& neighbor : nearest[q].Take()) {
      nearest_[first_query + q].rows.push_back(neighbor.slot);
      nearest_[first_query + q].distances.push_back(neighbor.distance);
    }
  }
}

// Of the query from each centroid: -<q, c>, and for L2 |c|^2 / 2.
std::vector<float> SearchTrial::ListDistances(size_t query) const {
  std::vector<float> distances(codebook_.nlist());
  InnerProducts(queries_.Rows(query, 1), codebook_.centroids(), distances.data(), distances.size());
  for (size_t l = 0; l < distances.size(); ++l) {
    distances[l] = (half_norms_.empty() ? 0 : half_norms_[l]) - distances[l];
  }
  return distances;
}

// As CoarseQuantizer ranks lists, but halved for L2.
std::vector<float> SearchTrial::ListRanks(size_t query) const {
  const bool is_l2 = codebook_.metric() == Metric::kL2;
  std::vector<float> ranks = ListDistances(query);
  const float weight = codebook_.RankWeight(queries_.row(query).data()) / (is_l2 ? 2 : 1);
  for (size_t l = 0; l < rank_terms_.size(); ++l) ranks[l] += weight * rank_terms_[l];
  return ranks;
}

ProbeTrial::Query SearchTrial::RankLists(size_t query) const {
  std::vector<float> ranks = ListRanks(query);
  ProbeTrial::Query ranked;
  for (size_t i = 0; i < kNeighbors; ++i) {
    const float of_neighbor = ranks[nearest_[query].lists[i]];
    ranked.ranks.push_back(static_cast<uint32_t>(CountBelow(ranks, of_neighbor)));
  }
  if (!codebook_.radii().empty()) return ranked;
  // Squared distances, as CoarseQuantizer has them.
  const std::span<const float> row = queries_.row(query);
  const bool is_l2 = codebook_.metric() == Metric::kL2;
  const double shift = codebook_.RankShift(row.data()) + (is_l2 ? 2 * double{HalfNorm(row)} : 0.0);
  std::sort(ranks.begin(), ranks.end());
  ranks.resize(std::min(ranks.size(), ProbeRule::kListsMost));
  for (float& rank : ranks) rank = static_cast<float>((is_l2 ? 2.0 : 1.0) * rank + shift);
  const double mean = MeanOfNearest(ranks.data(), ranks.size());
  if (!(mean > 0)) return ranked;
  for (float rank : ranks) {
    ranked.log_ratios.push_back(
        static_cast<float>(std::log(std::max<double>(rank, kLeastRatio * mean) / mean)));
  }
  return ranked;
}

// Leaves of the rows near the query, but for the neighbours, those in the lists searched, and finds
// the drawn rows behind them.
void SearchTrial::ChooseCompared(std::span<const uint32_t> drawn,
                                 std::span<const uint32_t> drawn_lists, size_t searched,
                                 size_t query) {
  Nearest& nearest = nearest_[query];
  const std::vector<float> distances = ListRanks(query);
  std::vector<float> sorted = distances;
  const auto farthest = sorted.begin() + static_cast<ptrdiff_t>(searched - 1);
  std::nth_element(sorted.begin(), farthest, sorted.end());
  const auto is_searched = [&, last = *farthest](uint32_t list) { return distances[list] <= last; };
  size_t kept = kNeighbors;
  for (size_t i = kept; i < nearest.rows.size(); ++i) {
    if (!is_searched(nearest.lists[i])) continue;
    nearest.rows[kept] = nearest.rows[i];
    nearest.distances[kept] = nearest.distances[i];
    nearest.lists[kept++] = nearest.lists[i];
  }
  nearest.rows.resize(kept);
  nearest.distances.resize(kept);
  nearest.lists.resize(kept);
  std::vector<uint32_t> near = nearest.rows;
  std::sort(near.begin(), near.end());
  for (size_t i = 0; i < drawn.size(); ++i) {
    if (!is_searched(drawn_lists[i])) continue;
    if (std::binary_search(near.begin(), near.end(), drawn[i])) continue;
    nearest.drawn.push_back(static_cast<uint32_t>(i));
  }
}

// ranks[i] = about how many rows in the lists searched are nearer by their codes than neighbour i.
void SearchTrial::RankCandidates(const EncodedVectors& drawn, const LutScanTables& lut,
                                 size_t query, uint32_t* ranks) const {
  const Nearest& nearest = nearest_[query];
  const std::vector<float> lists = ListDistances(query);
  std::vector<float> for_table(codebook_.padded_dimension());
  codebook_.ForTable(queries_.Rows(query, 1), for_table.data());
  const ProductSums sums(lut, for_table.data());
  const auto distance = [&](const EncodedVectors& encoded, size_t i) {
    const uint8_t* code = encoded.codes.data() + i * codebook_.code_bytes();
    return lists[encoded.lists[i]] + encoded.biases[i] / 2 + sums.Of(code);
  };
  EncodedVectors encoded;
  codebook_.EncodeAssigned(RowsOf(rows_, nearest.rows), nearest.lists.data(), &encoded);
  std::vector<float> near(nearest.rows.size()), far(nearest.drawn.size());
  for (size_t i = 0; i < near.size(); ++i) near[i] = distance(encoded, i);
  for (size_t i = 0; i < far.size(); ++i) far[i] = distance(drawn, nearest.drawn[i]);
  for (size_t i = 0; i < kNeighbors; ++i) {
    // Rows that codes do not tell from the neighbour come first as often as not; if they are as far
    // away as it is, any of them is as good.
    const auto may_come_first = [&](float coded, float exact) {
      return coded < near[i] || (coded == near[i] && exact > nearest.distances[i]);
    };
    size_t of_near = 0, of_far = 0;
    for (size_t j = 0; j < near.size(); ++j) {
      of_near += may_come_first(near[j], nearest.distances[j]);
    }
    // Those behind are as far away as the last of the near ones, at least.
    for (float coded : far) of_far += may_come_first(coded, nearest.distances.back());
    ranks[i] = static_cast<uint32_t>(static_cast<double>(of_near) +
                                     rows_per_drawn_ * static_cast<double>(of_far));
  }
}

uint32_t SearchTrial::Candidates(const EncodedVectors& drawn, double share,
                                 Executor& executor) const {
  std::vector<uint32_t> ranks(CodedQueries() * kNeighbors);
  const LutScanTables lut = TablesOf(codebook_.quantizer());
  executor.ParallelFor(CodedQueries(), 1, [&](size_t begin, size_t end) {
    for (size_t q = begin; q < end; ++q) {
      RankCandidates(drawn, lut, q, ranks.data() + q * kNeighbors);
    }
  });
  return Quantile(ranks, share) + 1;
}

}  // namespace tessera
