// How full the inverted lists are.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"
#include "server/engine/page_token.h"

namespace tessera {
namespace {

void Summarize(const std::vector<ListFill>& lists, ListStatistics* out) {
  std::vector<uint64_t> sizes;
  double squares = 0;
  for (const ListFill& list : lists) {
    sizes.push_back(list.points);
    out->points += list.points;
    out->dead_entries += list.dead_entries;
    out->empty_lists += list.points == 0;
    squares += static_cast<double>(list.points) * static_cast<double>(list.points);
  }
  std::sort(sizes.begin(), sizes.end());
  out->points_min = sizes.front();
  out->points_median = sizes[sizes.size() / 2];
  out->points_max = sizes.back();
  const auto sum = static_cast<double>(out->points);
  if (sum > 0) out->imbalance = static_cast<double>(sizes.size()) * squares / (sum * sum);
}

}  // namespace

absl::StatusOr<ListStatistics> Collection::GetListStatistics(size_t page_size,
                                                             const std::string& page_token) {
  ListStatistics statistics;
  std::vector<ListFill> lists;
  // In the writer's turn, so that sizes and dead entries are of one moment.
  RETURN_IF_ERROR(queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    if (lists_ == nullptr) return NotTrained();
    statistics.codebook_version = codebook_version_;
    for (uint32_t list = 0; list < codebook_->nlist(); ++list) {
      const uint64_t dead = tombstones_.count(list);
      lists.push_back({list, lists_->list_size(list) - dead, dead});
    }
    return absl::OkStatus();
  }));
  Summarize(lists, &statistics);
  statistics.nlist = static_cast<uint32_t>(lists.size());

  uint32_t begin = 0;
  if (!page_token.empty()) {
    const KeyRange range = CodesRange(id_, statistics.codebook_version);
    ASSIGN_OR_RETURN(const std::string key, DecodePageToken(page_token, range.begin));
    CodeKeyParts last;
    if (!ParseCodeKey(key, &last).ok() || last.list >= statistics.nlist) {
      return InvalidField("page_token", "is not a token that this server gave for this list");
    }
    begin = last.list + 1;
  }
  if (page_size == 0) page_size = limits::kPageSizeDefault;
  const size_t end = std::min<size_t>(lists.size(), begin + page_size);
  statistics.lists.assign(lists.begin() + begin, lists.begin() + static_cast<std::ptrdiff_t>(end));
  if (end < lists.size()) {
    const auto last = static_cast<uint32_t>(end - 1);
    statistics.next_page_token =
        EncodePageToken(CodeKey(id_, statistics.codebook_version, last, /*slot=*/0));
  }
  return statistics;
}

}  // namespace tessera
