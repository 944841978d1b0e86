// Pages of points in the order of their ids.
#include <algorithm>
#include <utility>

#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/big_endian.h"
#include "server/engine/collection_reader.h"
#include "server/engine/page_token.h"
#include "server/filter/evaluate.h"
#include "server/filter/fingerprint.h"

namespace tessera {
namespace {

// Ids whose payloads are read at a time, and in all for one page.
constexpr size_t kReadIds = 1024;
constexpr size_t kReadIdsForPage = 64 * kReadIds;

// What the key in a page token stands behind: the pages are those of one filter.
std::string TokenPrefix(const Filter& filter) {
  std::string prefix = "scroll/";
  AppendBigEndian(FilterFingerprint(filter), &prefix);
  return prefix;
}

}  // namespace

// At most `ids_max` ids from the key *begin on, of points that match; *begin moves behind the last
// that was looked at, and becomes empty at the end.
absl::StatusOr<std::vector<PointId>> CollectionReader::NextMatchingIds(const Filter& filter,
                                                                       std::string* begin,
                                                                       const std::string& end,
                                                                       size_t ids_max) const {
  std::vector<PointId> found;
  std::vector<PointId> ids;
  std::vector<std::string> keys;
  // From before the walk: a slot left over in it then has no other point.
  const auto held = view();
  auto it = store_.Scan(Family::kIds, *begin, end, /*bulk=*/false);
  for (size_t read = 0; it->Valid() && found.size() < ids_max && read < kReadIdsForPage;) {
    ids.clear();
    keys.clear();
    const size_t some = filter.empty() ? ids_max : kReadIds;
    for (; it->Valid() && ids.size() < some; it->Next()) {
      IdKeyParts parts;
      Slot slot = 0;
      RETURN_IF_ERROR(ParseIdKey(it->key(), &parts));
      RETURN_IF_ERROR(DecodeSlot(it->key(), it->value(), &slot));
      if (held->leftover->Contains(slot)) continue;
      ids.push_back(ToPointId(parts.id));
      keys.emplace_back(it->key());
    }
    RETURN_IF_ERROR(it->status());
    read += ids.size();
    std::vector<bool> matches(ids.size(), filter.empty());
    if (!filter.empty()) {
      RETURN_IF_ERROR(ReadByIds(ids, [&](size_t i, const PointRecordView& record) {
        matches[i] = MatchesText(filter, record.id, record.payload);
        return absl::OkStatus();
      }));
    }
    bool full = false;
    for (size_t i = 0; i < ids.size() && !full; ++i) {
      *begin = keys[i] + '\0';  // the first key after this one
      if (matches[i]) found.push_back(std::move(ids[i]));
      full = found.size() == ids_max && i + 1 < ids.size();
    }
    if (full) return found;
  }
  RETURN_IF_ERROR(it->status());
  if (!it->Valid()) begin->clear();
  return found;
}

absl::StatusOr<ScrollPage> CollectionReader::Scroll(size_t page_size, const std::string& page_token,
                                                    const Filter& filter,
                                                    const PointFields& fields) const {
  const KeyRange range = CollectionRange(id_);
  std::string begin = range.begin;
  const std::string of_filter = TokenPrefix(filter);
  if (!page_token.empty()) {
    ASSIGN_OR_RETURN(const std::string last, DecodePageToken(page_token, of_filter + begin));
    begin = last.substr(of_filter.size()) + '\0';
  }
  if (page_size == 0) page_size = limits::kPageSizeDefault;
  ASSIGN_OR_RETURN(const std::vector<PointId> ids,
                   NextMatchingIds(filter, &begin, range.end, page_size));
  ScrollPage page;
  if (!begin.empty()) {
    begin.pop_back();
    page.next_page_token = EncodePageToken(of_filter + begin);
  }
  ASSIGN_OR_RETURN(page.points, GetMatching(ids, filter, fields));
  return page;
}

}  // namespace tessera
