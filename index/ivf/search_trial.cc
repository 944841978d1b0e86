#include "index/ivf/search_trial.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "index/base/check.h"
#include "index/base/top_k.h"
#include "index/cluster/gemm.h"
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

}  // namespace

size_t SearchTrial::QueriesOf(size_t rows) {
  return rows < kRowsMin ? 0 : std::min(kQueries, rows / kRowsPerQuery);
}

SearchTrial::SearchTrial(const Codebook& codebook, MatrixView queries, MatrixView rows,
                         Executor& executor)
    : queries_(queries), rows_(rows), metric_(codebook.metric()), nearest_(queries.rows) {
  TESSERA_CHECK(queries.rows > 0 && rows.rows >= kNeighbors);
  executor.ParallelFor(queries.rows, kQueriesAtOnce, [&](size_t begin, size_t end) {
    for (size_t first = begin; first < end; first += kQueriesAtOnce) {
      FindNearest(first, std::min(kQueriesAtOnce, end - first));
    }
  });
  std::vector<float> half_norms(codebook.nlist());
  for (size_t l = 0; l < half_norms.size(); ++l)
    half_norms[l] = HalfNorm(codebook.centroids().row(l));
  list_ranks_.resize(queries.rows * kNeighbors);
  executor.ParallelFor(queries.rows, 1, [&](size_t begin, size_t end) {
    for (size_t q = begin; q < end; ++q) {
      Nearest& nearest = nearest_[q];
      nearest.lists.resize(nearest.rows.size());
      codebook.Assign(Gathered(nearest), nearest.lists.data());
      RankLists(codebook, half_norms, q);
    }
  });
}

void SearchTrial::FindNearest(size_t first_query, size_t count) {
  std::vector<TopK> nearest;
  for (size_t q = first_query; q < first_query + count; ++q) {
    nearest.emplace_back(q < kCodedQueries ? kCompared : kNeighbors);
  }
  std::vector<float> products(count * kRowsAtOnce);
  std::vector<float> half_norms(kRowsAtOnce);  // zeros but for L2
  for (size_t first = 0; first < rows_.rows; first += kRowsAtOnce) {
    const MatrixView block = rows_.Rows(first, std::min(kRowsAtOnce, rows_.rows - first));
    InnerProducts(queries_.Rows(first_query, count), block, products.data(), kRowsAtOnce);
    for (size_t i = 0; i < block.rows && metric_ == Metric::kL2; ++i) {
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
    }
  }
}

Matrix SearchTrial::Gathered(const Nearest& nearest) const {
  Matrix rows(nearest.rows.size(), rows_.cols);
  for (size_t i = 0; i < nearest.rows.size(); ++i) {
    std::copy_n(rows_.row(nearest.rows[i]).data(), rows_.cols, rows.row(i).data());
  }
  return rows;
}

// As CoarseQuantizer ranks them.
void SearchTrial::RankLists(const Codebook& codebook, std::span<const float> half_norms,
                            size_t query) {
  const MatrixView centroids = codebook.centroids();
  const float weight = metric_ == Metric::kL2 ? 1 : codebook.NormWeight(queries_.row(query).data());
  std::vector<float> distances(centroids.rows);
  InnerProducts(queries_.Rows(query, 1), centroids, distances.data(), centroids.rows);
  for (size_t l = 0; l < centroids.rows; ++l) distances[l] = weight * half_norms[l] - distances[l];
  for (size_t i = 0; i < kNeighbors; ++i) {
    const float own = distances[nearest_[query].lists[i]];
    list_ranks_[query * kNeighbors + i] = static_cast<uint32_t>(
        std::count_if(distances.begin(), distances.end(), [&](float d) { return d < own; }));
  }
}

uint32_t SearchTrial::Lists(double share) const {
  std::vector<uint32_t> ranks = list_ranks_;
  return Quantile(ranks, share) + 1;
}

// ranks[i] = how many of the rows near the query are nearer by their codes than neighbour i.
void SearchTrial::RankCandidates(const Codebook& codebook, size_t query, uint32_t* ranks) const {
  const Nearest& nearest = nearest_[query];
  const float* vector = queries_.row(query).data();
  EncodedVectors encoded;
  codebook.EncodeAssigned(Gathered(nearest), nearest.lists.data(), &encoded);
  std::vector<float> for_table(codebook.padded_dimension());
  codebook.ForTable(queries_.Rows(query, 1), for_table.data());
  const size_t quantized = codebook.quantizer().dimension();
  std::vector<float> decoded(quantized);
  std::vector<float> distances(nearest.rows.size());
  for (size_t i = 0; i < distances.size(); ++i) {
    codebook.quantizer().Decode(encoded.codes.data() + i * codebook.code_bytes(), decoded.data());
    const float* centroid = codebook.centroids().row(encoded.lists[i]).data();
    const float product = FloatDotProduct(for_table.data(), decoded.data(), quantized);
    distances[i] =
        metric_ == Metric::kL2
            ? FloatSquaredDistance(vector, centroid, rows_.cols) + encoded.biases[i] - 2 * product
            : -FloatDotProduct(vector, centroid, rows_.cols) - product;
  }
  for (size_t i = 0; i < kNeighbors; ++i) {
    ranks[i] = static_cast<uint32_t>(std::count_if(distances.begin(), distances.end(),
                                                   [&](float d) { return d < distances[i]; }));
  }
}

uint32_t SearchTrial::Candidates(const Codebook& codebook, double share, Executor& executor) const {
  const size_t queries = std::min(kCodedQueries, queries_.rows);
  std::vector<uint32_t> ranks(queries * kNeighbors);
  executor.ParallelFor(queries, 1, [&](size_t begin, size_t end) {
    for (size_t q = begin; q < end; ++q) {
      RankCandidates(codebook, q, ranks.data() + q * kNeighbors);
    }
  });
  return Quantile(ranks, share) + 1;
}

}  // namespace tessera
