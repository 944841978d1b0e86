#include "index/cluster/grouped_centroids.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "index/base/buffer.h"
#include "index/base/check.h"
#include "index/cluster/gemm.h"
#include "index/simd/argmin.h"
#include "index/simd/pq_encode.h"
#include "index/simd/select_least.h"

namespace tessera {
namespace {

// Fewer centroids are compared with one and all.
constexpr size_t kGroupedFrom = 2048;
constexpr size_t kGroupSize = 64;  // on average
// Vectors searched for together, so that each group meets some tens of them in one matrix product.
constexpr size_t kBlockVectors = 1024;
// Pairs of vector and centroid whose inner products are held at once.
constexpr size_t kTileRows = 64;

// How many groups a vector is compared with: a share that shrinks as the square root of their
// number, chosen so that 99.5 % or more of the answers are the exact ones (README.md).
size_t GroupsProbed(size_t groups) {
  const double wanted = 2.0 * std::sqrt(static_cast<double>(groups));
  return std::clamp<size_t>(static_cast<size_t>(std::ceil(wanted)), 1, groups);
}

std::vector<float> HalfNorms(MatrixView rows) {
  std::vector<float> norms(rows.rows);
  for (size_t i = 0; i < rows.rows; ++i) {
    norms[i] = 0.5f * FloatDotProduct(rows.row(i).data(), rows.row(i).data(), rows.cols);
  }
  return norms;
}

}  // namespace

struct GroupedCentroids::Scratch {
  Scratch(size_t dim, size_t groups, size_t group_size_max)
      : rows(kTileRows, dim),
        dots(kTileRows * std::max(groups, group_size_max)),
        probed(groups),
        chosen(groups + kSelectLeastSlack) {}

  Matrix rows;                                // gathered vectors
  AlignedBuffer<float> dots;                  // of a tile
  std::vector<std::vector<uint32_t>> probed;  // the block's rows that each group is searched for
  std::vector<uint32_t> chosen;
  float costs[kBlockVectors];  // of the best centroid so far, per row of the block
  uint32_t best[kBlockVectors];
};

GroupedCentroids::GroupedCentroids(MatrixView centroids, Executor& executor)
    : centroids_(centroids), all_(centroids) {
  if (centroids.rows >= kGroupedFrom) Group(executor);
}

void GroupedCentroids::Group(Executor& executor) {
  groups_ =
      std::make_unique<RowGroups>(FormGroups(centroids_, centroids_.rows / kGroupSize, executor));
  head_half_norms_ = HalfNorms(groups_->heads);
  packed_ = Matrix(centroids_.rows, centroids_.cols);
  const std::vector<float> half_norms = HalfNorms(centroids_);
  packed_half_norms_.reserve(half_norms.size());
  for (size_t g = 0; g < groups(); ++g) {
    const std::span<const uint32_t> ids = groups_->members.of(g);
    float* out = packed_.data() + groups_->members.first(g) * centroids_.cols;
    for (size_t j = 0; j < ids.size(); ++j) {
      const float* row = centroids_.row(ids[j]).data();
      for (size_t t = 0; t < centroids_.cols; ++t) out[t * ids.size() + j] = row[t];
      packed_half_norms_.push_back(half_norms[ids[j]]);
    }
  }
}

size_t GroupedCentroids::memory_bytes() const {
  return all_.memory_bytes() +
         (groups() * (centroids_.cols + 1) + packed_.rows() * packed_.cols() + 2 * packed_.rows()) *
             sizeof(float);
}

void GroupedCentroids::ChooseGroups(MatrixView block, Scratch* scratch) const {
  const size_t groups = this->groups();
  const size_t probed = GroupsProbed(groups);
  for (std::vector<uint32_t>& rows : scratch->probed) rows.clear();
  for (size_t begin = 0; begin < block.rows; begin += kTileRows) {
    const size_t count = std::min(kTileRows, block.rows - begin);
    InnerProducts(block.Rows(begin, count), groups_->heads, scratch->dots.data(), groups);
    for (size_t i = 0; i < count; ++i) {
      float* costs = scratch->dots.data() + i * groups;
      for (size_t g = 0; g < groups; ++g) costs[g] = head_half_norms_[g] - costs[g];
      const size_t chosen =
          SelectLeast(costs, groups, probed, probed + probed / 16, scratch->chosen.data());
      for (size_t p = 0; p < chosen; ++p) {
        scratch->probed[scratch->chosen[p]].push_back(static_cast<uint32_t>(begin + i));
      }
    }
  }
}

void GroupedCentroids::SearchGroup(MatrixView block, size_t group, std::span<const uint32_t> rows,
                                   Scratch* scratch) const {
  const std::span<const uint32_t> ids = groups_->members.of(group);
  if (ids.empty()) return;
  const size_t first = groups_->members.first(group);
  const float* candidates = packed_.data() + first * centroids_.cols;
  for (size_t begin = 0; begin < rows.size(); begin += kTileRows) {
    const size_t count = std::min(kTileRows, rows.size() - begin);
    float costs[kTileRows];
    uint32_t found[kTileRows];
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(scratch->rows.row(i).data(), block.row(rows[begin + i]).data(),
                  block.cols * sizeof(float));
      costs[i] = std::numeric_limits<float>::infinity();
    }
    InnerProductsTransposed(scratch->rows.view().Rows(0, count), candidates, ids.size(),
                            scratch->dots.data());
    UpdateArgMin(scratch->dots.data(), count, ids.size(), ids.size(),
                 packed_half_norms_.data() + first, 0, costs, found);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t row = rows[begin + i];
      const uint32_t id = ids[found[i]];
      if (costs[i] < scratch->costs[row] ||
          (costs[i] == scratch->costs[row] && id < scratch->best[row])) {
        scratch->costs[row] = costs[i];
        scratch->best[row] = id;
      }
    }
  }
}

void GroupedCentroids::AssignBlock(MatrixView block, Scratch* scratch, uint32_t* lists,
                                   float* squared_distances) const {
  ChooseGroups(block, scratch);
  std::fill_n(scratch->costs, block.rows, std::numeric_limits<float>::infinity());
  std::fill_n(scratch->best, block.rows, 0);
  for (size_t g = 0; g < groups(); ++g) {
    if (!scratch->probed[g].empty()) SearchGroup(block, g, scratch->probed[g], scratch);
  }
  for (size_t i = 0; i < block.rows; ++i) {
    lists[i] = scratch->best[i];
    if (squared_distances == nullptr) continue;
    const float* row = block.row(i).data();
    squared_distances[i] =
        std::max(FloatDotProduct(row, row, block.cols) + 2 * scratch->costs[i], 0.0f);
  }
}

void GroupedCentroids::Assign(MatrixView vectors, Executor& executor, uint32_t* lists,
                              float* squared_distances) const {
  TESSERA_CHECK(vectors.cols == centroids_.cols);
  if (groups() == 0) {
    all_.Assign(vectors, executor, lists, squared_distances);
    return;
  }
  size_t group_size_max = 0;
  for (size_t g = 0; g < groups(); ++g) {
    group_size_max = std::max(group_size_max, groups_->members.of(g).size());
  }
  executor.ParallelFor(vectors.rows, kBlockVectors, [&](size_t begin, size_t end) {
    const auto scratch = std::make_unique<Scratch>(vectors.cols, groups(), group_size_max);
    for (size_t i = begin; i < end; i += kBlockVectors) {
      const size_t count = std::min(kBlockVectors, end - i);
      AssignBlock(vectors.Rows(i, count), scratch.get(), lists + i,
                  squared_distances == nullptr ? nullptr : squared_distances + i);
    }
  });
}

}  // namespace tessera
