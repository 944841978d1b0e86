#include "index/cluster/grouped_centroids.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "index/base/buffer.h"
#include "index/base/check.h"
#include "index/cluster/gemm.h"
#include "index/simd/centroid_panels.h"
#include "index/simd/pq_encode.h"
#include "index/simd/select_least.h"

namespace tessera {
namespace {

// Fewer centroids are compared with one and all.
constexpr size_t kGroupedFrom = 2048;
constexpr size_t kGroupSize = 64;  // on average
// Vectors searched for together, so that each group meets some tens of them at once.
constexpr size_t kBlockVectors = 1024;
// Vectors whose inner products with the heads are held at once.
constexpr size_t kTileRows = 64;

// How many groups a vector is compared with: a share that shrinks as the square root of their
// number, chosen so that 99.5 % or more of the answers are the exact ones (README.md).
size_t GroupsProbed(size_t groups) {
  const double wanted = 2.0 * std::sqrt(static_cast<double>(groups));
  return std::clamp<size_t>(static_cast<size_t>(std::ceil(wanted)), 1, groups);
}

}  // namespace

struct GroupedCentroids::Scratch {
  explicit Scratch(size_t groups)
      : dots(kTileRows * groups), probed(groups), chosen(groups + kSelectLeastSlack) {}

  AlignedBuffer<float> dots;                  // of a tile with the heads
  std::vector<std::vector<uint32_t>> probed;  // the block's rows that each group is searched for
  std::vector<uint32_t> chosen;
  const float* rows[kBlockVectors];  // of those that one group is searched for
  float group_costs[kBlockVectors];
  uint32_t found[kBlockVectors];
  float costs[kBlockVectors];  // of the best centroid so far, per row of the block
  uint32_t best[kBlockVectors];
};

GroupedCentroids::Groups::Groups(MatrixView centroids, RowGroups formed)
    : members(std::move(formed.members)), heads(centroids.cols, count()) {
  for (size_t g = 0; g < count(); ++g) {
    const std::span<const float> head = formed.heads.view().row(g);
    for (size_t t = 0; t < head.size(); ++t) heads.row(t)[g] = head[t];
    head_half_norms.push_back(0.5f * FloatDotProduct(head.data(), head.data(), head.size()));
  }
  panel_begins.push_back(0);
  for (size_t g = 0; g < count(); ++g) {
    panel_begins.push_back(panel_begins.back() + PanelsFor(members.of(g).size()));
  }
  panels = AlignedBuffer<float>(panel_begins.back() * PanelFloats(centroids.cols));
  for (size_t g = 0; g < count(); ++g) {
    PackPanels(centroids, members.of(g),
               panels.data() + panel_begins[g] * PanelFloats(centroids.cols));
  }
}

size_t GroupedCentroids::Groups::memory_bytes() const {
  const size_t floats = heads.rows() * heads.cols() + head_half_norms.size() + panels.size();
  return floats * sizeof(float) + panel_begins.size() * sizeof(size_t);
}

GroupedCentroids::GroupedCentroids(MatrixView centroids, Executor& executor)
    : dim_(centroids.cols) {
  if (centroids.rows < kGroupedFrom) {
    all_ = std::make_unique<NearestCentroids>(centroids);
  } else {
    groups_ = std::make_unique<Groups>(
        centroids, FormGroups(centroids, centroids.rows / kGroupSize, executor));
  }
}

size_t GroupedCentroids::memory_bytes() const {
  return groups_ == nullptr ? all_->memory_bytes() : groups_->memory_bytes();
}

void GroupedCentroids::ChooseGroups(MatrixView block, Scratch* scratch) const {
  const size_t groups = this->groups();
  const size_t probed = GroupsProbed(groups);
  for (std::vector<uint32_t>& rows : scratch->probed) rows.clear();
  for (size_t begin = 0; begin < block.rows; begin += kTileRows) {
    const size_t count = std::min(kTileRows, block.rows - begin);
    InnerProductsTransposed(block.Rows(begin, count), groups_->heads.data(), groups,
                            scratch->dots.data());
    for (size_t i = 0; i < count; ++i) {
      float* costs = scratch->dots.data() + i * groups;
      for (size_t g = 0; g < groups; ++g) costs[g] = groups_->head_half_norms[g] - costs[g];
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
  for (size_t i = 0; i < rows.size(); ++i) scratch->rows[i] = block.row(rows[i]).data();
  std::fill_n(scratch->group_costs, rows.size(), std::numeric_limits<float>::infinity());
  std::fill_n(scratch->found, rows.size(), 0);  // what stays where sums overflow
  UpdateNearest(groups_->panels.data() + groups_->panel_begins[group] * PanelFloats(dim_),
                ids.size(), dim_, scratch->rows, rows.size(), 0, scratch->group_costs,
                scratch->found);
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint32_t row = rows[i];
    const uint32_t id = ids[scratch->found[i]];
    const float cost = scratch->group_costs[i];
    if (cost < scratch->costs[row] || (cost == scratch->costs[row] && id < scratch->best[row])) {
      scratch->costs[row] = cost;
      scratch->best[row] = id;
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
  TESSERA_CHECK(vectors.cols == dim_);
  if (groups_ == nullptr) {
    all_->Assign(vectors, executor, lists, squared_distances);
    return;
  }
  executor.ParallelFor(vectors.rows, kBlockVectors, [&](size_t begin, size_t end) {
    const auto scratch = std::make_unique<Scratch>(groups());
    for (size_t i = begin; i < end; i += kBlockVectors) {
      const size_t count = std::min(kBlockVectors, end - i);
      AssignBlock(vectors.Rows(i, count), scratch.get(), lists + i,
                  squared_distances == nullptr ? nullptr : squared_distances + i);
    }
  });
}

}  // namespace tessera
