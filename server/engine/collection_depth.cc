// How deep a search goes for the recall that it asks for, and what recall it may expect.
#include <optional>

#include "index/codebook/parameters.h"
#include "server/engine/calibration.h"
#include "server/engine/collection_reader.h"
#include "server/engine/collection_spec.h"

namespace tessera {

SearchRequest CollectionReader::WithDepth(const CollectionView& view,
                                          const SearchRequest& request) const {
  SearchRequest with_depth = request;
  std::optional<SearchDepth> depth;
  if (view.calibration != nullptr && *request.target_recall < 1) {
    depth = view.calibration->DepthFor(request.offset + request.limit, *request.target_recall,
                                       ChoiceIn(view));
  }
  if (depth.has_value()) {
    with_depth.nprobe = depth->nprobe;
    with_depth.rerank = depth->rerank;
  } else {
    with_depth.exact = true;
  }
  return with_depth;
}

Calibration::Choice CollectionReader::ChoiceIn(const CollectionView& view) const {
  const uint64_t points = this->points();
  const double entries =
      static_cast<double>(view.lists->size()) / static_cast<double>(view.codebook->nlist());
  const DepthCost cost = {entries * EntryNs(view.codebook->code_bytes()),
                          CandidateNsOf(spec_, placement_)};
  const SearchDefaults defaults = ChooseSearchDefaults(
      view.codebook->spec(), view.codebook->probe_rule(), SearchNeeds(), points);
  return {points, cost, {defaults.nprobe, defaults.rerank}};
}

// What a search may say of its recall.
std::optional<double> CollectionReader::ExpectedRecall(const SearchRequest& request,
                                                       const CollectionView& view,
                                                       SearchPlan plan) const {
  if (plan == SearchPlan::kExact || plan == SearchPlan::kExactMatching) return 1.0;
  if (plan != SearchPlan::kLists || request.no_rerank || view.calibration == nullptr) {
    return std::nullopt;
  }
  const uint64_t k = request.offset + request.limit;
  const IvfSearchParams params = SearchParams(request, view, k);
  const SearchDepth depth = {static_cast<uint32_t>(params.nprobe),
                             static_cast<uint32_t>(params.rerank)};
  return view.calibration->RecallOf(k, depth, points());
}

}  // namespace tessera
