// Lists that have grown far longer than the others are split, beside searches and writes. What a
// step does is prepared here, from a view; only its commit takes a turn in the queue.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/collection.h"
#include "server/engine/draw_evenly.h"

namespace tessera {
namespace {

// How often lists that are to move may give entries away before they have few enough.
constexpr int kDrains = 3;

}  // namespace

// In the queue's turn. Empty if no list is too long.
Collection::LongLists Collection::FindLongLists() {
  LongLists found;
  if (lists_ == nullptr || rebalancing_.active()) return found;
  found.sizes.resize(codebook_->nlist());
  for (uint32_t list = 0; list < found.sizes.size(); ++list) {
    found.sizes[list] = static_cast<uint32_t>(lists_->list_size(list) - tombstones_.count(list));
  }
  if (!list_limits_.Update(found.sizes)) return found;
  for (uint32_t list = 0; list < found.sizes.size(); ++list) {
    if (list_limits_.IsOver(list, found.sizes[list])) found.too_long.push_back(list);
  }
  found.codebook = codebook_;
  return found;
}

// Does the next step, if there is one. False if nothing is left to do, or not now.
bool Collection::Rebalance(const LongLists& lists, absl::Time now) {
  const bool due = rebalancing_.active() || !lists.too_long.empty();
  if (!due || now < rebalancing_.not_before) {
    if (!due) split_retry_ms_.store(0, std::memory_order_relaxed);
    return false;
  }
  // Held until the step is committed: a slot that is alive in it and then has the same point.
  const auto view = this->view();
  if (view->codebook != (rebalancing_.active() ? rebalancing_.codebook : lists.codebook)) {
    rebalancing_.Clear();  // another codebook has been installed
    return true;
  }
  absl::StatusOr<bool> more =
      rebalancing_.active() ? StepRebalancing(*view) : PlanRebalancing(*view, lists);
  if (more.ok()) {
    split_retry_ms_.store(0, std::memory_order_relaxed);
    return *more;
  }
  // Every step has left all whole: what is still too long is looked at again after a while, also if
  // nothing is written any more.
  rebalancing_.Clear();
  rebalancing_.not_before = now + SplitRetryDelay(++rebalancing_.failures);
  split_retry_ms_.store(absl::ToUnixMillis(rebalancing_.not_before), std::memory_order_relaxed);
  return false;
}

bool Collection::IsSplitDue(absl::Time now) const {
  const int64_t retry_ms = split_retry_ms_.load(std::memory_order_relaxed);
  return retry_ms != 0 && absl::ToUnixMillis(now) > retry_ms;
}

// Leaves lists that could not be made shorter until they are longer.
absl::Status Collection::SettleLists(const Codebook* codebook, const std::vector<uint32_t>& lists) {
  if (lists.empty()) return absl::OkStatus();
  return queue_.RunExclusive([&]() -> absl::Status {
    if (codebook_.get() != codebook) return absl::OkStatus();
    for (const uint32_t list : lists) {
      const size_t live = lists_->list_size(list) - tombstones_.count(list);
      list_limits_.Settle(list, static_cast<uint32_t>(live));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> Collection::PlanRebalancing(const CollectionView& view,
                                                 const LongLists& lists) {
  const auto splits = ChooseSplits(lists.sizes, [&](uint32_t list) {
    return std::binary_search(lists.too_long.begin(), lists.too_long.end(), list);
  });
  std::vector<uint32_t> moved;
  std::vector<uint32_t> useless;
  std::vector<float> centroids;
  for (const ListSplit& split : splits) {
    const size_t before = centroids.size();
    ASSIGN_OR_RETURN(const bool useful, PlanSplit(view, split, &centroids));
    if (!useful) {
      useless.push_back(split.list);
      continue;
    }
    rebalancing_.long_lists.push_back({split.list, lists.sizes[split.list]});
    if (centroids.size() > before) {
      moved.insert(moved.end(), split.takers.begin(), split.takers.end());
    }
  }
  RETURN_IF_ERROR(SettleLists(view.codebook.get(), useless));
  if (rebalancing_.long_lists.empty()) return !splits.empty();
  rebalancing_.target = view.codebook;
  if (!moved.empty()) {
    rebalancing_.target =
        view.codebook->WithCentroids(moved, {centroids.data(), moved.size(), spec_.dimension});
    rebalancing_.tables = std::make_shared<const SearchTables>(rebalancing_.target);
    std::sort(moved.begin(), moved.end());
    rebalancing_.moved = std::move(moved);
  } else {
    LookAtLongLists(view);
  }
  rebalancing_.codebook = view.codebook;
  return true;
}

// Appends the centroids that the takers are to have; none if the list has many entries that only
// have to go to lists that are there. False if nothing makes the list shorter.
absl::StatusOr<bool> Collection::PlanSplit(const CollectionView& view, const ListSplit& split,
                                           std::vector<float>* centroids) const {
  const size_t parts = split.takers.size();
  std::vector<Slot> slots =
      DrawEvenly(LiveSlotsOf(view, split.list), parts * limits::kListPartSampleMax);
  ASSIGN_OR_RETURN(Matrix sample, FloatsOf(&slots));
  EncodedVectors encoded;
  InlineExecutor executor;
  view.codebook->Encode(sample.view().Rows(0, slots.size()), executor, &encoded);
  const auto stay = std::count(encoded.lists.begin(), encoded.lists.end(), split.list);
  if (static_cast<size_t>(stay) < slots.size() / 2) return true;
  view.codebook->Prepare(sample, sample.data());
  const auto split_centroids = SplitCentroids(sample.view().Rows(0, slots.size()), parts);
  if (!split_centroids.has_value()) return false;
  centroids->insert(centroids->end(), split_centroids->data(),
                    split_centroids->data() + parts * spec_.dimension);
  return true;
}

absl::StatusOr<bool> Collection::StepRebalancing(const CollectionView& view) {
  if (!rebalancing_.to_look_at.empty()) {
    RETURN_IF_ERROR(GiveEntries(view));
  } else if (!rebalancing_.moved.empty()) {
    RETURN_IF_ERROR(MoveListCentroids(view));
  } else {
    RETURN_IF_ERROR(FinishRebalancing());
  }
  return true;
}

// Some entries of a list go to the lists that they are nearest to. As long as centroids are still
// to move, none goes to a list of those.
absl::Status Collection::GiveEntries(const CollectionView& view) {
  Rebalancing::Slots& next = rebalancing_.to_look_at.front();
  std::vector<Slot> slots;
  for (size_t n = 0; n < limits::kListMoveEntriesMax && !next.slots.empty(); ++n) {
    if (IsLiveIn(view, next.slots.back(), next.list)) slots.push_back(next.slots.back());
    next.slots.pop_back();
  }
  EncodedSlots encoded;
  RETURN_IF_ERROR(EncodeSlots(std::move(slots), &encoded));
  EncodedSlots moves;
  for (size_t i = 0; i < encoded.slots.size(); ++i) {
    const uint32_t to = encoded.vectors.lists[i];
    const auto& moved = rebalancing_.moved;
    if (to == next.list || std::binary_search(moved.begin(), moved.end(), to)) continue;
    moves.slots.push_back(encoded.slots[i]);
    moves.vectors.Append(encoded.vectors, i);
  }
  if (!moves.slots.empty()) RETURN_IF_ERROR(CommitMoves(moves, /*with_centroids=*/false));
  for (auto& list : rebalancing_.long_lists) {
    if (list.list == next.list) list.given += static_cast<uint32_t>(moves.slots.size());
  }
  if (next.slots.empty()) rebalancing_.to_look_at.pop_front();
  return absl::OkStatus();
}

absl::Status Collection::MoveListCentroids(const CollectionView& view) {
  std::vector<Slot> slots;
  for (const uint32_t list : rebalancing_.moved) {
    const std::vector<Slot> some = LiveSlotsOf(view, list);
    slots.insert(slots.end(), some.begin(), some.end());
  }
  if (slots.size() > limits::kListMoveEntriesMax) {
    if (++rebalancing_.drains > kDrains) return absl::ResourceExhaustedError("too many entries");
    for (const uint32_t list : rebalancing_.moved) {
      rebalancing_.to_look_at.push_back({list, LiveSlotsOf(view, list)});
    }
    return absl::OkStatus();
  }
  EncodedSlots moves;
  RETURN_IF_ERROR(EncodeSlots(std::move(slots), &moves));
  RETURN_IF_ERROR(CommitMoves(moves, /*with_centroids=*/true));
  rebalancing_.codebook = rebalancing_.target;
  LookAtLongLists(*this->view());
  rebalancing_.moved.clear();
  return absl::OkStatus();
}

// And at the lists around, whose entries may be nearer to the parts of the long ones.
void Collection::LookAtLongLists(const CollectionView& view) {
  std::vector<uint32_t> lists = ListsNear(rebalancing_.target->centroids(), rebalancing_.moved);
  for (const auto& list : rebalancing_.long_lists) lists.push_back(list.list);
  std::sort(lists.begin(), lists.end());
  lists.erase(std::unique(lists.begin(), lists.end()), lists.end());
  for (const uint32_t list : lists) {
    rebalancing_.to_look_at.push_back({list, LiveSlotsOf(view, list)});
  }
}

absl::Status Collection::FinishRebalancing() {
  std::vector<uint32_t> useless;
  for (const auto& list : rebalancing_.long_lists) {
    if (!list.shortened()) useless.push_back(list.list);
  }
  RETURN_IF_ERROR(SettleLists(rebalancing_.codebook.get(), useless));
  rebalancing_.failures = 0;
  rebalancing_.Clear();
  return queue_.RunExclusive([&] {
    ReturnSpareMemory();
    Publish();
    return absl::OkStatus();
  });
}

bool Collection::IsLiveIn(const CollectionView& view, Slot slot, uint32_t list) const {
  return slot < view.slot_end && !view.dead->Contains(slot) && table_.list(slot) == list;
}

std::vector<Slot> Collection::LiveSlotsOf(const CollectionView& view, uint32_t list) const {
  std::vector<Slot> slots = view.lists->Slots(list);
  std::erase_if(slots, [&](Slot slot) { return view.dead->Contains(slot); });
  return slots;
}

// The vectors of slots that are alive in a view that the caller holds; those that have died since
// are taken out of `slots`, and the matrix may have more rows than are left.
absl::StatusOr<Matrix> Collection::FloatsOf(std::vector<Slot>* slots) const {
  std::vector<std::byte> rows(slots->size() * vector_bytes());
  const auto found = std::make_unique<bool[]>(slots->size());
  RETURN_IF_ERROR(ReadRows(*slots, rows.data(), found.get()));
  Matrix floats(slots->size(), spec_.dimension);
  size_t kept = 0;
  for (size_t i = 0; i < slots->size(); ++i) {
    if (!found[i]) continue;
    (*slots)[kept] = (*slots)[i];
    ToFloat(spec_.element_type, &rows[i * vector_bytes()], spec_.dimension,
            floats.row(kept++).data());
  }
  slots->resize(kept);
  return floats;
}

// Appends slots and how the target encodes them.
absl::Status Collection::EncodeSlots(std::vector<Slot> slots, EncodedSlots* out) const {
  if (slots.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Matrix floats, FloatsOf(&slots));
  InlineExecutor executor;
  rebalancing_.target->Encode(floats.view().Rows(0, slots.size()), executor, &out->vectors);
  out->slots.insert(out->slots.end(), slots.begin(), slots.end());
  return absl::OkStatus();
}

// What writes have put into the lists that move since `known` was encoded. In the queue's turn.
absl::Status Collection::EncodeNewcomers(const EncodedSlots& known, EncodedSlots* out) const {
  const absl::flat_hash_set<Slot> seen(known.slots.begin(), known.slots.end());
  const auto now = view();
  std::vector<Slot> slots;
  for (const uint32_t list : rebalancing_.moved) {
    for (const Slot slot : LiveSlotsOf(*now, list)) {
      if (!seen.contains(slot)) slots.push_back(slot);
    }
  }
  return EncodeSlots(std::move(slots), out);
}

// Gives entries to other lists, in the store first: all of it, the centroids too, or nothing.
absl::Status Collection::CommitMoves(const EncodedSlots& moves, bool with_centroids) {
  return queue_.RunExclusive([&]() -> absl::Status {
    if (dropped_.load()) return Missing();
    if (codebook_ != rebalancing_.codebook) return absl::AbortedError("another codebook");
    EncodedSlots live;
    for (size_t i = 0; i < moves.slots.size(); ++i) {
      if (dead_.Contains(moves.slots[i])) continue;
      live.slots.push_back(moves.slots[i]);
      live.vectors.Append(moves.vectors, i);
    }
    if (with_centroids) RETURN_IF_ERROR(EncodeNewcomers(moves, &live));
    auto batch = store_.NewBatch();
    for (const Slot slot : live.slots) {
      batch->Delete(Family::kCodes, CodeKey(id_, codebook_version_, table_.list(slot), slot));
    }
    PutCodes({rebalancing_.target, codebook_version_, /*stored=*/true}, live, 0, *batch);
    if (with_centroids) PutCentroids(*batch);
    // Nobody is told that it has been done: it may be lost, whole.
    RETURN_IF_ERROR(store_.Commit(*batch, Durability::kAsync));
    ApplyMoves(live, with_centroids);
    return absl::OkStatus();
  });
}

void Collection::PutCentroids(StoreBatch& batch) const {
  std::string value;
  for (const uint32_t list : rebalancing_.moved) {
    const auto centroid = rebalancing_.target->centroids().row(list);
    const std::string key = CentroidKey(id_, codebook_version_, list);
    EncodeCentroid(key, {reinterpret_cast<const char*>(centroid.data()), centroid.size_bytes()},
                   &value);
    batch.Put(Family::kCodebooks, key, value);
  }
}

// What is in the store becomes visible.
void Collection::ApplyMoves(const EncodedSlots& moves, bool with_centroids) {
  if (with_centroids) {
    codebook_ = rebalancing_.target;
    lists_->UseTables(rebalancing_.tables);
    // Before the first list of a slot changes: searches ask afterwards what they have read.
    lists_codebook_.store(codebook_.get(), std::memory_order_relaxed);
  }
  std::vector<uint32_t> from;
  for (const Slot slot : moves.slots) from.push_back(table_.list(slot));
  std::sort(from.begin(), from.end());
  from.erase(std::unique(from.begin(), from.end()), from.end());
  lists_->Replace(from, moves.vectors, moves.slots.data());
  for (size_t i = 0; i < moves.slots.size(); ++i) {
    table_.SetList(moves.slots[i], moves.vectors.lists[i]);
  }
  dead_records_.fetch_add(moves.slots.size(), std::memory_order_relaxed);
  Publish();
}

}  // namespace tessera
