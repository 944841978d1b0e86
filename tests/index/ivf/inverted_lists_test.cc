#include "index/ivf/inverted_lists.h"

#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "index/ivf/lists_snapshot.h"
#include "tests/index/ivf/ivf_test_util.h"

namespace tessera {
namespace {

using test::Encode;
using test::Iota;

struct Entry {
  std::vector<uint8_t> code;
  float bias;
  uint32_t list;
  friend bool operator==(const Entry&, const Entry&) = default;
};
using Contents = std::map<Slot, Entry>;

// All that a snapshot holds, read lane by lane.
Contents Read(const ListsSnapshot& snapshot) {
  const LutScanShape& shape = snapshot.tables().shape;
  Contents out;
  size_t total = 0;
  for (uint32_t l = 0; l < snapshot.nlist(); ++l) {
    const InvertedList& list = snapshot.list(l);
    total += list.size;
    const size_t blocks = (list.size + kLutScanBlockVectors - 1) / kLutScanBlockVectors;
    EXPECT_EQ(list.num_blocks + (list.tail != nullptr ? 1 : 0), blocks);
    for (uint32_t i = 0; i < blocks * kLutScanBlockVectors; ++i) {
      const size_t b = i / kLutScanBlockVectors;
      const uint8_t* block =
          b < list.num_blocks ? list.blocks + b * shape.block_bytes() : list.tail;
      const size_t lane = i % kLutScanBlockVectors;
      if (i >= list.size) {
        EXPECT_EQ(LutScanBias(shape, block, lane), std::numeric_limits<float>::infinity());
        continue;
      }
      Entry entry{std::vector<uint8_t>(shape.code_bytes()), LutScanBias(shape, block, lane), l};
      LutScanGet(shape, block, lane, entry.code.data());
      EXPECT_TRUE(out.emplace(LutScanSlot(shape, block, lane), entry).second);
    }
  }
  EXPECT_EQ(total, snapshot.size());
  return out;
}

class InvertedListsTest : public testing::TestWithParam<uint32_t> {
 protected:
  InvertedListsTest()
      : vectors_(test::RandomVectors(12'000, 12, 1)),
        codebook_(
            test::TrainCodebook(Metric::kL2, vectors_.view().Rows(0, 2000), 70, 5, GetParam())),
        lists_(codebook_) {}

  // Appends rows [begin, begin + n) under their row numbers, here and in the model.
  void Append(size_t begin, size_t n) {
    const EncodedVectors encoded = Encode(*codebook_, vectors_.view().Rows(begin, n));
    const std::vector<Slot> slots = Iota(n, static_cast<Slot>(begin));
    lists_.Append(encoded, slots.data());
    const size_t bytes = codebook_->code_bytes();
    for (size_t i = 0; i < n; ++i) {
      model_[slots[i]] = {{&encoded.codes[i * bytes], &encoded.codes[i * bytes] + bytes},
                          encoded.biases[i],
                          encoded.lists[i]};
    }
  }
  void Delete(Slot slot) {
    deleted_.Insert(slot);
    model_.erase(slot);
  }
  void PackAll(std::vector<Slot>* removed) {
    lists_.StartPacking();
    while (lists_.IsPacking()) lists_.PackSome(deleted_, removed);
  }

  Matrix vectors_;
  std::shared_ptr<const Codebook> codebook_;
  InvertedLists lists_;
  SlotSet deleted_;
  std::vector<Slot> removed_;
  Contents model_;
};

TEST_P(InvertedListsTest, EmptyListsHaveNoEntries) {
  EXPECT_EQ(lists_.Snapshot()->size(), 0u);
  EXPECT_TRUE(Read(*lists_.Snapshot()).empty());
}

TEST_P(InvertedListsTest, HoldsWhatWasAppendedInAnyPieces) {
  std::mt19937 rng(5);
  size_t at = 0;
  while (at < vectors_.rows()) {
    const size_t wanted = rng() % 8 == 0 ? 1 + rng() % 1500 : 1 + rng() % 90;
    const size_t n = std::min(wanted, vectors_.rows() - at);
    Append(at, n);
    at += n;
    if (rng() % 3 == 0) {
      ASSERT_EQ(Read(*lists_.Snapshot()).size(), at);
    }
  }
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
  EXPECT_EQ(lists_.size(), vectors_.rows());
}

TEST_P(InvertedListsTest, SnapshotsNeverChange) {
  std::mt19937 rng(6);
  std::vector<std::pair<std::shared_ptr<const ListsSnapshot>, Contents>> kept;
  for (size_t at = 0; at < 6000;) {
    const size_t n = 1 + rng() % 200;
    Append(at, n);
    at += n;
    if (rng() % 4 == 0) Delete(static_cast<Slot>(rng() % at));
    if (rng() % 10 == 0) {
      const auto list = static_cast<uint32_t>(rng() % 70);
      lists_.Compact(list, deleted_, &removed_);
    }
    if (rng() % 4 == 0) kept.emplace_back(lists_.Snapshot(), Read(*lists_.Snapshot()));
  }
  ASSERT_GT(kept.size(), 5u);
  for (const auto& [snapshot, contents] : kept) EXPECT_EQ(Read(*snapshot), contents);
}

TEST_P(InvertedListsTest, UnchangedListsGiveTheSameSnapshot) {
  Append(0, 10);
  const auto first = lists_.Snapshot();
  EXPECT_EQ(lists_.Snapshot(), first);
  Append(10, 1);
  EXPECT_NE(lists_.Snapshot(), first);
}

TEST_P(InvertedListsTest, CompactDropsDeletedEntries) {
  Append(0, 5000);
  Append(5000, 500);
  std::mt19937 rng(7);
  for (int i = 0; i < 2000; ++i) Delete(static_cast<Slot>(rng() % 5500));
  const size_t before = lists_.size();
  for (uint32_t l = 0; l < codebook_->nlist(); ++l) lists_.Compact(l, deleted_, &removed_);
  EXPECT_EQ(removed_.size(), deleted_.size());
  for (Slot slot : removed_) EXPECT_TRUE(deleted_.Contains(slot)) << slot;
  EXPECT_EQ(lists_.size(), before - removed_.size());
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
  Append(5500, 700);
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
  for (int i = 0; i < 2000; ++i) Delete(static_cast<Slot>(rng() % 6200));
  PackAll(&removed_);
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
  EXPECT_EQ(lists_.size(), model_.size());
}

TEST_P(InvertedListsTest, ReplacesEntriesUnderOtherCentroids) {
  Append(0, 5000);
  Append(5000, 37);
  std::mt19937 rng(9);
  for (int i = 0; i < 300; ++i) Delete(static_cast<Slot>(rng() % 5037));
  const auto before = lists_.Snapshot();
  const Contents contents = Read(*before);
  // Lists 3 and 4 move to where two vectors of list 0 are; all that they had goes elsewhere.
  const std::vector<uint32_t> moved = {3, 4};
  const std::vector<Slot> in_list = before->Slots(0);
  Matrix centroids(2, vectors_.cols());
  for (size_t i = 0; i < 2; ++i) {
    codebook_->Prepare(vectors_.view().Rows(in_list[i], 1), centroids.row(i).data());
  }
  codebook_ = codebook_->WithCentroids(moved, centroids);
  std::vector<Slot> slots;
  for (const uint32_t list : {0u, 3u, 4u}) {
    for (Slot slot : before->Slots(list)) {
      if (!deleted_.Contains(slot)) slots.push_back(slot);
    }
  }
  Matrix rows(slots.size(), vectors_.cols());
  for (size_t i = 0; i < slots.size(); ++i) {
    std::copy_n(vectors_.row(slots[i]).data(), rows.cols(), rows.row(i).data());
  }
  const EncodedVectors encoded = Encode(*codebook_, rows);
  const size_t size = lists_.size();
  lists_.UseTables(std::make_shared<const SearchTables>(codebook_));
  lists_.Replace(std::vector<uint32_t>{0, 3, 4}, encoded, slots.data());
  EXPECT_EQ(lists_.size(), size);
  const size_t bytes = codebook_->code_bytes();
  for (size_t i = 0; i < slots.size(); ++i) {
    model_[slots[i]] = {{&encoded.codes[i * bytes], &encoded.codes[i * bytes] + bytes},
                        encoded.biases[i],
                        encoded.lists[i]};
  }
  Contents live = Read(*lists_.Snapshot());
  std::erase_if(live, [&](const auto& entry) { return deleted_.Contains(entry.first); });
  EXPECT_EQ(live, model_);
  EXPECT_EQ(&lists_.Snapshot()->codebook(), codebook_.get());
  EXPECT_EQ(Read(*before), contents);
  PackAll(&removed_);
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
}

TEST_P(InvertedListsTest, EverythingDeletedLeavesEmptyLists) {
  Append(0, 300);
  for (Slot slot = 0; slot < 300; ++slot) Delete(slot);
  PackAll(&removed_);
  EXPECT_EQ(lists_.size(), 0u);
  Append(300, 300);
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
}

TEST_P(InvertedListsTest, MemoryFollowsTheVectors) {
  const size_t empty = lists_.memory_bytes();
  Append(0, 12'000);
  const LutScanShape shape{codebook_->subquantizers(), codebook_->nbits()};
  const size_t per_vector = shape.block_bytes() / kLutScanBlockVectors;
  const size_t used = lists_.memory_bytes() - empty;
  EXPECT_GE(used, 12'000 * per_vector);
  // At most the last block of each list is partly empty; beside them are the errors of the codes,
  // in chunks that double.
  constexpr size_t kErrorBytes = 2 * 2 * 12'000;
  EXPECT_LE(used, 12'000 * per_vector + codebook_->nlist() * shape.block_bytes() + kErrorBytes);
  for (Slot slot = 0; slot < 11'000; ++slot) Delete(slot);
  const auto snapshot = lists_.Snapshot();
  PackAll(&removed_);
  EXPECT_GE(lists_.memory_bytes() - empty, used) << "the snapshot still holds the old memory";
}

// Replaces all entries many times over, as a server that runs for long does.
TEST_P(InvertedListsTest, MemoryStaysBoundedThroughTurnovers) {
  const LutScanShape shape{codebook_->subquantizers(), codebook_->nbits()};
  Append(0, 6000);
  const size_t fresh = lists_.memory_bytes();
  std::mt19937 rng(8);
  std::vector<Slot> live(6000);
  std::iota(live.begin(), live.end(), 0);
  size_t packed = 0;
  for (int step = 0; step < 300; ++step) {
    // Slots are given again once their entries are gone, as an engine does it.
    std::vector<Slot> removed;
    for (int i = 0; i < 200; ++i) Delete(live[rng() % live.size()]);
    for (uint32_t l = 0; l < codebook_->nlist(); ++l) lists_.Compact(l, deleted_, &removed);
    for (Slot slot : removed) deleted_.Erase(slot);
    for (Slot slot : removed) Append(slot, 1);
    if (lists_.HasSpareMemory()) {
      PackAll(&removed);
      EXPECT_FALSE(lists_.HasSpareMemory());
      ++packed;
    }
    ASSERT_EQ(lists_.size(), 6000u);
    ASSERT_LE(lists_.memory_bytes(),
              fresh + fresh / 4 + 3 * codebook_->nlist() * shape.block_bytes());
  }
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
}

// `n` vectors that nobody has encoded, of which the code is known by the slot.
EncodedVectors MadeUp(const Codebook& codebook, Slot first, size_t n) {
  EncodedVectors made;
  for (Slot slot = first; slot < first + n; ++slot) {
    made.lists.push_back(slot * 7919 % codebook.nlist());
    for (size_t j = 0; j < codebook.code_bytes(); ++j) {
      made.codes.push_back(static_cast<uint8_t>((slot >> (j * 3 % 24)) & (j == 0 ? 15 : 7)));
    }
    made.biases.push_back(static_cast<float>(slot));
    made.errors.push_back(1);
  }
  return made;
}

// Many lists are not packed by the one write that they have grown too much with, but a step by
// each write that follows, each of as much as a huge page holds.
TEST_P(InvertedListsTest, PackingGoesOnFromWriteToWrite) {
  constexpr size_t kEntries = 600'000, kRows = 500;
  const auto append = [&](Slot first, size_t n) {
    lists_.Append(MadeUp(*codebook_, first, n), Iota(n, first).data());
  };
  append(0, kEntries);
  EXPECT_FALSE(lists_.IsPacking()) << "what is appended at once is packed at once";
  Slot next = kEntries;
  for (; !lists_.IsPacking(); next += kRows) append(next, kRows);
  EXPECT_EQ(next, kEntries + kEntries / 4);
  size_t steps = 1;
  for (; lists_.IsPacking(); next += kRows, ++steps) append(next, kRows);
  EXPECT_GE(steps, 3u);
  EXPECT_FALSE(lists_.HasSpareMemory());

  const auto snapshot = lists_.Snapshot();
  const LutScanShape& shape = snapshot->tables().shape;
  const EncodedVectors all = MadeUp(*codebook_, 0, next);
  ASSERT_EQ(snapshot->size(), next);
  std::vector<bool> seen(next);
  std::vector<uint8_t> code(shape.code_bytes());
  for (uint32_t l = 0; l < snapshot->nlist(); ++l) {
    const InvertedList& list = snapshot->list(l);
    for (uint32_t i = 0; i < list.size; ++i) {
      const size_t b = i / kLutScanBlockVectors, lane = i % kLutScanBlockVectors;
      const uint8_t* block =
          b < list.num_blocks ? list.blocks + b * shape.block_bytes() : list.tail;
      const Slot slot = LutScanSlot(shape, block, lane);
      ASSERT_LT(slot, next);
      ASSERT_FALSE(seen[slot]);
      seen[slot] = true;
      ASSERT_EQ(all.lists[slot], l);
      LutScanGet(shape, block, lane, code.data());
      ASSERT_TRUE(std::equal(code.begin(), code.end(), &all.codes[slot * code.size()])) << slot;
    }
  }
}

// Lists may change while a packing is under way.
TEST_P(InvertedListsTest, ListsChangeBetweenTheStepsOfAPacking) {
  Append(0, 6'000);
  std::mt19937 rng(10);
  for (int i = 0; i < 1'000; ++i) Delete(static_cast<Slot>(rng() % 6'000));
  const auto before = lists_.Snapshot();
  const Contents contents = Read(*before);
  lists_.StartPacking();
  lists_.Compact(69, deleted_, &removed_);
  Append(6'000, 10);
  lists_.StartPacking();
  lists_.PackSome(deleted_, &removed_);
  EXPECT_FALSE(lists_.IsPacking()) << "so few take one step";
  Append(6'010, 500);
  EXPECT_EQ(Read(*before), contents);
  PackAll(&removed_);
  EXPECT_EQ(Read(*lists_.Snapshot()), model_);
  EXPECT_EQ(lists_.size(), model_.size());
}

TEST_P(InvertedListsTest, ReadersScanWhileTheWriterAppends) {
  Append(0, 1000);
  std::shared_ptr<const ListsSnapshot> snapshot = lists_.Snapshot();
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::thread reader([&] {
    while (!stop) {
      std::shared_ptr<const ListsSnapshot> mine;
      {
        std::lock_guard<std::mutex> lock(mutex);
        mine = snapshot;
      }
      EXPECT_EQ(Read(*mine).size(), mine->size());
    }
  });
  for (size_t at = 1000; at < 8000; at += 50) {
    Append(at, 50);
    std::lock_guard<std::mutex> lock(mutex);
    snapshot = lists_.Snapshot();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(Read(*snapshot), model_);
}

INSTANTIATE_TEST_SUITE_P(Bits, InvertedListsTest, testing::Values(4u, 8u));

}  // namespace
}  // namespace tessera
