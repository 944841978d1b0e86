// What searches find, checked against exact ones.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "index/base/status_macros.h"
#include "server/engine/collection_reader.h"

namespace tessera {

// To compare with vectors on disk would drive others out of the page cache.
bool CollectionReader::CanVerify() const { return compares_in_memory(); }

absl::Status CollectionReader::VerifySearch(const SearchRequest& request) const {
  RETURN_IF_ERROR(CheckSearch(request));
  // Both of one view: what is written meanwhile is in neither.
  const std::shared_ptr<const CollectionView> now = view();
  if (now->codebook == nullptr) return absl::OkStatus();
  SearchRequest approximate =
      request.target_recall.has_value() ? WithDepth(*now, request) : request;
  approximate.alone = true;
  SearchRequest exact = request;
  exact.nprobe = exact.rerank = 0;
  exact.target_recall.reset();
  exact.exact = true;
  exact.alone = true;
  ASSIGN_OR_RETURN(const SearchResult found, SearchView(*now, approximate));
  if (found.report.plan != SearchPlan::kLists) return absl::OkStatus();
  ASSIGN_OR_RETURN(const SearchResult truth, SearchView(*now, exact));
  const std::vector<Hit>& nearest = truth.hits.front();
  if (nearest.empty()) return absl::OkStatus();
  // One that is as far as the last of them is as good as that.
  absl::flat_hash_set<Slot> slots;
  for (const Hit& hit : nearest) slots.insert(hit.slot);
  const float last = nearest.back().score;
  const auto is_good = [&](const Hit& hit) {
    return slots.contains(hit.slot) || hit.score == last;
  };
  const std::vector<Hit>& hits = found.hits.front();
  const auto good = static_cast<double>(std::ranges::count_if(hits, is_good));
  verified_.Add(now->codebook_version, std::min(1.0, good / static_cast<double>(nearest.size())));
  return absl::OkStatus();
}

}  // namespace tessera
