#include "index/ivf/inverted_lists.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <utility>

#include "index/base/check.h"
#include "index/base/memory_units.h"
#include "index/base/pq_code.h"
#include "index/ivf/block_codes.h"
#include "index/ivf/code_errors.h"
#include "index/ivf/lists_snapshot.h"

namespace tessera {
namespace {

constexpr size_t kBlock = kLutScanBlockVectors;

size_t BlocksFor(size_t vectors) { return (vectors + kBlock - 1) / kBlock; }

// Rows that go into the lists, sorted by list; without vectors there are none.
struct NewRows {
  const EncodedVectors* vectors = nullptr;
  const Slot* slots = nullptr;
  const uint32_t* begins = nullptr;  // by list, and the end
  const uint32_t* rows = nullptr;

  size_t count(uint32_t list) const {
    return vectors == nullptr ? 0 : begins[list + 1] - begins[list];
  }
  const uint32_t* rows_of(uint32_t list) const {
    return vectors == nullptr ? nullptr : rows + begins[list];
  }
};

// |codeword|^2 of each codeword, subquantizer by subquantizer.
std::vector<double> CodewordNorms(const ProductQuantizer& quantizer) {
  const MatrixView codewords = quantizer.all_codewords();
  std::vector<double> norms(codewords.rows);
  for (size_t i = 0; i < codewords.rows; ++i) {
    for (float x : codewords.row(i)) norms[i] += double{x} * x;
  }
  return norms;
}

}  // namespace

std::vector<Slot> ListsSnapshot::Slots(size_t list) const {
  const InvertedList& l = this->list(list);
  const LutScanShape& shape = tables_->shape;
  std::vector<Slot> slots;
  slots.reserve(l.size);
  for (size_t b = 0; b * kBlock < l.size; ++b) {
    const uint8_t* block = b < l.num_blocks ? l.blocks + b * shape.block_bytes() : l.tail;
    const Slot* lanes = LutScanSlots(shape, block);
    slots.insert(slots.end(), lanes, lanes + std::min(kBlock, l.size - b * kBlock));
  }
  return slots;
}

SearchTables::SearchTables(std::shared_ptr<const Codebook> book)
    : codebook(std::move(book)),
      shape{codebook->subquantizers(), codebook->nbits()},
      lut(shape, codebook->sub_dimension(), codebook->codewords(0)),
      coarse(codebook) {}

struct InvertedLists::Impl {
  // Lists that were packed together share their memory, which is held until none uses it.
  struct Packing {
    size_t blocks = 0;
    size_t blocks_used = 0;
  };
  // What the writer knows of a list beyond what readers see.
  struct Room {
    uint8_t* blocks = nullptr;         // the same as the list's, for writing past what readers see
    uint32_t capacity = 0;             // in blocks
    std::shared_ptr<Packing> packing;  // null: the list has the memory to itself
  };

  explicit Impl(std::shared_ptr<const Codebook> codebook)
      : tables(std::make_shared<SearchTables>(std::move(codebook))),
        shape(tables->shape),
        block_bytes(shape.block_bytes()),
        nlist(tables->codebook->nlist()),
        chunks((nlist + ListChunk::kLists - 1) / ListChunk::kLists),
        shared(chunks.size(), false),
        rooms(nlist),
        codeword_norms(CodewordNorms(tables->codebook->quantizer())),
        errors(std::make_shared<CodeErrors>()),
        meter(std::make_shared<std::atomic<size_t>>(0)) {
    for (auto& chunk : chunks) chunk = std::make_shared<ListChunk>();
  }

  const InvertedList& list(size_t i) const {
    return chunks[i / ListChunk::kLists]->lists[i % ListChunk::kLists];
  }
  InvertedList& MutableList(size_t i) {
    const size_t c = i / ListChunk::kLists;
    if (shared[c]) {
      chunks[c] = std::make_shared<ListChunk>(*chunks[c]);
      shared[c] = false;
    }
    latest.reset();
    return chunks[c]->lists[i % ListChunk::kLists];
  }

  std::shared_ptr<BlockMemory> NewExtent(size_t blocks) const {
    return std::make_shared<BlockMemory>(blocks, block_bytes, meter);
  }
  // How many blocks are packed in one step: they fill a huge page.
  size_t BlocksPerPacking() const { return std::max<size_t>(1, kHugePageBytes / block_bytes); }
  const uint8_t* Block(const InvertedList& l, size_t b) const {
    return b < l.num_blocks ? l.blocks + b * block_bytes : l.tail;
  }

  // Calls take(position, slot) for each entry of a list from `begin` on.
  template <class F>
  void ForEachSlot(const InvertedList& l, size_t begin, F take) const {
    while (begin < l.size) {
      const size_t end = std::min<size_t>(l.size, (begin / kBlock + 1) * kBlock);
      const Slot* slots = LutScanSlots(shape, Block(l, begin / kBlock));
      for (; begin < end; ++begin) take(begin, slots[begin % kBlock]);
    }
  }
  size_t CountDeleted(const InvertedList& l, const SlotSet& deleted) const {
    size_t count = 0;
    ForEachSlot(l, 0, [&](size_t, Slot slot) { count += deleted.Contains(slot) ? 1 : 0; });
    return count;
  }
  void CopyEntry(const uint8_t* from, size_t from_lane, uint8_t* to, size_t to_lane) {
    code_scratch.resize(shape.code_bytes());
    LutScanGet(shape, from, from_lane, code_scratch.data());
    LutScanPut(shape, to, to_lane, code_scratch.data(), LutScanBias(shape, from, from_lane),
               LutScanSlot(shape, from, from_lane));
  }

  void AppendToList(uint32_t index, const EncodedVectors& vectors, const Slot* slots,
                    const uint32_t* rows, size_t n);
  void CopyWithout(const InvertedList& old, const SlotSet& deleted, size_t count,
                   std::vector<Slot>* removed, uint8_t* out);
  void WriteList(const InvertedList& old, const EncodedVectors* vectors, const Slot* slots,
                 const uint32_t* rows, size_t n, const SlotSet* deleted, size_t kept,
                 std::vector<Slot>* removed, uint8_t* out);
  void PackLists(ListRange lists, size_t room_blocks, const NewRows& added, const SlotSet* deleted,
                 std::vector<Slot>* removed);
  ListRange PackSome(const SlotSet* deleted, std::vector<Slot>* removed);
  void SetRoom(uint32_t index, const Room& room);
  double CodeNorm(const uint8_t* code) const;
  void NoteErrors(const EncodedVectors& vectors, const Slot* slots, const uint32_t* rows, size_t n,
                  InvertedList* list) const;

  std::shared_ptr<const SearchTables> tables;
  const LutScanShape shape;
  const size_t block_bytes;
  const size_t nlist;
  std::vector<std::shared_ptr<ListChunk>> chunks;
  std::vector<bool> shared;  // chunk c is seen by a snapshot: copy it before writing
  std::vector<Room> rooms;
  const std::vector<double> codeword_norms;
  const std::shared_ptr<CodeErrors> errors;
  std::shared_ptr<const ListsSnapshot> latest;
  std::shared_ptr<std::atomic<size_t>> meter;
  std::vector<uint8_t> code_scratch;
  std::vector<size_t> moved_scratch;
  bool replacing = false;  // what is appended has been in the lists, and older snapshots show it
  size_t size = 0;
  size_t packed_size = 0;    // when the lists were last packed anew, or that began
  size_t pack_next = nlist;  // the first list that the packing under way has not come to
  // The room of all lists, with what packings hold for lists that have left them. A partly filled
  // last block that lies elsewhere is not counted.
  size_t held_blocks = 0;
};

void InvertedLists::Impl::SetRoom(uint32_t index, const Room& room) {
  (room.packing == nullptr ? held_blocks : room.packing->blocks_used) += room.capacity;
  const Room old = std::exchange(rooms[index], room);
  if (old.packing == nullptr) {
    held_blocks -= old.capacity;
  } else if (old.capacity > 0 && (old.packing->blocks_used -= old.capacity) == 0) {
    held_blocks -= old.packing->blocks;
  }
}

// The length of the residual that a code stands for.
double InvertedLists::Impl::CodeNorm(const uint8_t* code) const {
  double sum = 0;
  const size_t entries = shape.table_entries();
  for (size_t j = 0; j < shape.subquantizers; ++j) {
    sum += codeword_norms[j * entries + PqCodeword(code, j, shape.nbits)];
  }
  return std::sqrt(sum);
}

// Keeps what is known of how far the rows are from their codes and from the list's centroid.
void InvertedLists::Impl::NoteErrors(const EncodedVectors& vectors, const Slot* slots,
                                     const uint32_t* rows, size_t n, InvertedList* list) const {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t row = rows[i];
    if (replacing) {
      errors->Raise(slots[row], vectors.errors[row]);
    } else {
      errors->Set(slots[row], vectors.errors[row]);
    }
    const float error = errors->Get(slots[row]);
    const double norm = CodeNorm(&vectors.codes[row * shape.code_bytes()]);
    list->error_max = std::max(list->error_max, error);
    list->reach = std::max(list->reach, static_cast<float>(norm) + error);
  }
}

// Adds rows to one list. Readers of older snapshots may be scanning it: blocks that they can see
// are left alone, a partly filled last block is replaced by a copy.
void InvertedLists::Impl::AppendToList(uint32_t index, const EncodedVectors& vectors,
                                       const Slot* slots, const uint32_t* rows, size_t n) {
  InvertedList& l = MutableList(index);
  NoteErrors(vectors, slots, rows, n, &l);
  const Room& room = rooms[index];
  const size_t full_before = l.size / kBlock;
  const size_t full_after = (l.size + n) / kBlock;
  const bool tail_in_place = l.num_blocks > full_before;
  if (full_after > full_before && (tail_in_place || full_after > room.capacity)) {
    const size_t capacity = full_after + full_after / 8;
    auto extent = NewExtent(capacity);
    if (full_before > 0) std::memcpy(extent->data(), l.blocks, full_before * block_bytes);
    const uint8_t* old_tail = Block(l, full_before);
    std::shared_ptr<const BlockMemory> old_owner = l.blocks_owner;
    if (l.size % kBlock != 0 && tail_in_place) {
      l.tail = old_tail;
      l.tail_owner = old_owner;
    }
    SetRoom(index, {extent->data(), static_cast<uint32_t>(capacity), nullptr});
    l.blocks = extent->data();
    l.num_blocks = static_cast<uint32_t>(full_before);
    l.blocks_owner = std::move(extent);
  } else if (tail_in_place) {
    l.tail = l.blocks + full_before * block_bytes;
    l.tail_owner = l.blocks_owner;
    l.num_blocks = static_cast<uint32_t>(full_before);
    // Older snapshots see the block after it.
    SetRoom(index, {room.blocks, static_cast<uint32_t>(full_before), room.packing});
  }
  size_t row = 0;
  while (row < n) {
    const size_t lane = l.size % kBlock;
    const size_t take = std::min(n - row, kBlock - lane);
    uint8_t* block;
    std::shared_ptr<BlockMemory> tail;
    if (lane + take == kBlock) {
      block = room.blocks + l.num_blocks * block_bytes;
    } else {
      tail = NewExtent(1);
      block = tail->data();
    }
    if (lane > 0) {
      std::memcpy(block, l.tail, block_bytes);
    } else {
      LutScanClear(shape, block);
    }
    for (size_t i = 0; i < take; ++i, ++row) {
      LutScanPut(shape, block, lane + i, &vectors.codes[rows[row] * shape.code_bytes()],
                 vectors.biases[rows[row]], slots[rows[row]]);
    }
    l.tail = tail == nullptr ? nullptr : block;
    l.tail_owner = tail;
    if (tail == nullptr) ++l.num_blocks;
    l.size += static_cast<uint32_t>(take);
  }
  size += n;
}

// Writes a list without its `count` entries that are not deleted as contiguous blocks to `out`, and
// appends the deleted slots to `removed`. Nearly all is copied block by block: what lies behind the
// new end goes into the places of deleted entries before it.
void InvertedLists::Impl::CopyWithout(const InvertedList& old, const SlotSet& deleted, size_t count,
                                      std::vector<Slot>* removed, uint8_t* out) {
  const size_t blocks = BlocksFor(count);
  for (size_t b = 0; b < blocks; ++b) {
    std::memcpy(out + b * block_bytes, Block(old, b), block_bytes);
  }
  if (count % kBlock != 0) {
    LutScanTruncate(shape, out + (blocks - 1) * block_bytes, count % kBlock);
  }
  moved_scratch.clear();
  ForEachSlot(old, count, [&](size_t i, Slot slot) {
    if (!deleted.Contains(slot)) moved_scratch.push_back(i);
  });
  size_t moved = 0;
  ForEachSlot(old, 0, [&](size_t i, Slot slot) {
    if (!deleted.Contains(slot)) return;
    removed->push_back(slot);
    if (i >= count) return;
    const size_t from = moved_scratch[moved++];
    CopyEntry(Block(old, from / kBlock), from % kBlock, out + i / kBlock * block_bytes, i % kBlock);
  });
}

// Writes a list as contiguous blocks to `out`: the `kept` entries that are not deleted, then the
// rows. `out` has room for all.
void InvertedLists::Impl::WriteList(const InvertedList& old, const EncodedVectors* vectors,
                                    const Slot* slots, const uint32_t* rows, size_t n,
                                    const SlotSet* deleted, size_t kept, std::vector<Slot>* removed,
                                    uint8_t* out) {
  if (kept < old.size) {
    CopyWithout(old, *deleted, kept, removed, out);
  } else {
    for (size_t b = 0; b < BlocksFor(old.size); ++b) {
      std::memcpy(out + b * block_bytes, Block(old, b), block_bytes);
    }
  }
  for (size_t i = 0; i < n; ++i) {
    const size_t at = kept + i;
    uint8_t* block = out + at / kBlock * block_bytes;
    if (at % kBlock == 0) LutScanClear(shape, block);
    LutScanPut(shape, block, at % kBlock, &vectors->codes[rows[i] * shape.code_bytes()],
               vectors->biases[rows[i]], slots[rows[i]]);
  }
}

// Writes lists one after the other into new memory of at least `room_blocks` blocks.
void InvertedLists::Impl::PackLists(ListRange lists, size_t room_blocks, const NewRows& added,
                                    const SlotSet* deleted, std::vector<Slot>* removed) {
  std::vector<size_t> kept(lists.end - lists.begin);
  size_t blocks = 0;
  for (uint32_t i = lists.begin; i < lists.end; ++i) {
    const InvertedList& l = list(i);
    kept[i - lists.begin] = l.size - (deleted == nullptr ? 0 : CountDeleted(l, *deleted));
    blocks += BlocksFor(kept[i - lists.begin] + added.count(i));
  }
  auto packing = std::make_shared<Packing>();
  packing->blocks = blocks == 0 ? 0 : std::max(blocks, room_blocks);
  held_blocks += packing->blocks;
  auto extent = blocks == 0 ? nullptr : NewExtent(packing->blocks);
  uint8_t* at = blocks == 0 ? nullptr : extent->data();
  for (uint32_t i = lists.begin; i < lists.end; ++i) {
    InvertedList& l = MutableList(i);
    const size_t n = added.count(i), stay = kept[i - lists.begin];
    if (n > 0) NoteErrors(*added.vectors, added.slots, added.rows_of(i), n, &l);
    WriteList(l, added.vectors, added.slots, added.rows_of(i), n, deleted, stay, removed, at);
    size += stay + n - l.size;
    const auto count = static_cast<uint32_t>(stay + n);
    const auto used = static_cast<uint32_t>(BlocksFor(count));
    l = {at, nullptr, used, count, l.error_max, l.reach, extent, nullptr};
    SetRoom(i, {at, used, packing});
    if (at != nullptr) at += used * block_bytes;
  }
}

// The next step of the packing under way: as many lists as a huge page has room for, or one.
ListRange InvertedLists::Impl::PackSome(const SlotSet* deleted, std::vector<Slot>* removed) {
  const size_t blocks_max = BlocksPerPacking();
  const auto begin = static_cast<uint32_t>(pack_next);
  size_t blocks = 0;
  for (; pack_next < nlist; ++pack_next) {
    const size_t more = BlocksFor(list(pack_next).size);
    if (pack_next > begin && blocks + more > blocks_max) break;
    blocks += more;
  }
  const ListRange lists{begin, static_cast<uint32_t>(pack_next)};
  // All of a page, or it would not be a huge one; the last lists take no more than they need.
  PackLists(lists, pack_next < nlist ? blocks_max : 0, {}, deleted, removed);
  return lists;
}

InvertedLists::InvertedLists(std::shared_ptr<const Codebook> codebook)
    : impl_(std::make_unique<Impl>(std::move(codebook))) {}

InvertedLists::~InvertedLists() = default;

void InvertedLists::Append(const EncodedVectors& vectors, const Slot* slots) {
  constexpr size_t kPackMin = 4096;
  // Entries that are packed with each row that is appended: a packing ends long before the next.
  constexpr size_t kPackPerRow = 8;
  const size_t n = vectors.size();
  if (n == 0) return;
  // Rows by list: a counting sort keeps their order within a list.
  std::vector<uint32_t> begins(impl_->nlist + 1, 0);
  for (uint32_t list : vectors.lists) ++begins[list + 1];
  for (size_t i = 0; i < impl_->nlist; ++i) begins[i + 1] += begins[i];
  std::vector<uint32_t> next(begins.begin(), begins.end() - 1);
  std::vector<uint32_t> rows(n);
  for (size_t i = 0; i < n; ++i) rows[next[vectors.lists[i]]++] = static_cast<uint32_t>(i);

  const NewRows added{&vectors, slots, begins.data(), rows.data()};
  const size_t size_after = impl_->size + n;
  const bool grown = size_after >= impl_->packed_size + std::max(kPackMin, impl_->packed_size / 4);
  if (grown) impl_->packed_size = size_after;
  if (grown && size_after <= kPackPerRow * n) {
    impl_->PackLists({0, static_cast<uint32_t>(impl_->nlist)}, 0, added, nullptr, nullptr);
    impl_->pack_next = impl_->nlist;
    return;
  }
  for (uint32_t i = 0; i < impl_->nlist; ++i) {
    if (added.count(i) > 0)
      impl_->AppendToList(i, vectors, slots, added.rows_of(i), added.count(i));
  }
  if (grown) StartPacking();
  for (size_t packed = 0; IsPacking() && packed < kPackPerRow * n;) {
    const ListRange lists = impl_->PackSome(nullptr, nullptr);
    for (uint32_t i = lists.begin; i < lists.end; ++i) packed += list_size(i);
  }
}

std::shared_ptr<const ListsSnapshot> InvertedLists::Snapshot() {
  if (impl_->latest == nullptr) {
    ListsSnapshot::Chunks chunks(impl_->chunks.begin(), impl_->chunks.end());
    impl_->shared.assign(impl_->shared.size(), true);
    impl_->latest = std::make_shared<ListsSnapshot>(impl_->tables, impl_->errors, std::move(chunks),
                                                    impl_->size);
  }
  return impl_->latest;
}

void InvertedLists::Compact(uint32_t list, const SlotSet& deleted, std::vector<Slot>* removed) {
  InvertedList& l = impl_->MutableList(list);
  const size_t before = l.size;
  if (before == 0) return;
  const size_t count = before - impl_->CountDeleted(l, deleted);
  const auto used = static_cast<uint32_t>(BlocksFor(count));
  auto extent = impl_->NewExtent(used);
  impl_->WriteList(l, nullptr, nullptr, nullptr, 0, &deleted, count, removed, extent->data());
  impl_->SetRoom(list, {extent->data(), used, nullptr});
  l = {extent->data(), nullptr, used,   static_cast<uint32_t>(count),
       l.error_max,    l.reach, extent, nullptr};
  impl_->size -= before - count;
}

bool InvertedLists::HasSpareMemory() const {
  size_t used = 0;
  for (size_t i = 0; i < impl_->nlist; ++i) used += impl_->list(i).num_blocks;
  // Few lists leave much room between them without it being much.
  return impl_->held_blocks > used + std::max(impl_->nlist, used / 8);
}

void InvertedLists::StartPacking() {
  impl_->packed_size = impl_->size;
  impl_->pack_next = 0;
}

bool InvertedLists::IsPacking() const { return impl_->pack_next < impl_->nlist; }

ListRange InvertedLists::PackSome(const SlotSet& deleted, std::vector<Slot>* removed) {
  return impl_->PackSome(&deleted, removed);
}

void InvertedLists::Replace(std::span<const uint32_t> from, const EncodedVectors& vectors,
                            const Slot* slots) {
  SlotSet replaced;
  for (size_t i = 0; i < vectors.size(); ++i) replaced.Insert(slots[i]);
  std::vector<Slot> removed;
  for (const uint32_t list : from) Compact(list, replaced, &removed);
  TESSERA_CHECK(removed.size() == vectors.size());
  impl_->replacing = true;
  Append(vectors, slots);
  impl_->replacing = false;
}

void InvertedLists::UseTables(std::shared_ptr<const SearchTables> tables) {
  TESSERA_CHECK(tables->codebook->nlist() == impl_->nlist);
  // What is known of entries that all leave: those that replace them say what holds then.
  for (uint32_t i = 0; i < impl_->nlist; ++i) {
    if (tables->codebook->HasSameCentroid(*impl_->tables->codebook, i)) continue;
    InvertedList& l = impl_->MutableList(i);
    l.error_max = 0;
    l.reach = 0;
  }
  impl_->tables = std::move(tables);
  impl_->latest.reset();
}

void InvertedLists::ShrinkSlots(uint64_t end) { impl_->errors->Shrink(end); }

size_t InvertedLists::list_size(uint32_t list) const { return impl_->list(list).size; }

size_t InvertedLists::size() const { return impl_->size; }

size_t InvertedLists::memory_bytes() const {
  return impl_->meter->load(std::memory_order_relaxed) + impl_->tables->memory_bytes() +
         impl_->errors->memory_bytes() + impl_->codeword_norms.size() * sizeof(double) +
         impl_->chunks.size() * sizeof(ListChunk) + impl_->nlist * sizeof(Impl::Room);
}

}  // namespace tessera
