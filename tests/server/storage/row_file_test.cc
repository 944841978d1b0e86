#include "server/storage/row_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "index/base/crc32c.h"
#include "tests/server/storage/page_cache.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr size_t kRowBytes = 48;
constexpr size_t kRowDistance = kRowBytes + 4;
constexpr size_t kRowsOffset = 4096;
const std::string kThisBoot(36, 'a');
const std::string kNextBoot(36, 'b');

class RowFileTest : public testing::Test {
 protected:
  std::unique_ptr<RowFile> Open(uint64_t sequence, const std::string& boot_id = kThisBoot) {
    options_.boot_id = boot_id;
    auto file = RowFile::Open(options_, sequence);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }
  // A file whose collection has made one commit, to sequence 1, of the points `slots`.
  std::unique_ptr<RowFile> Filled(const std::vector<Slot>& slots) {
    auto file = Open(0);
    file->SetComplete();
    file->BeginCommit(0, 1);
    WriteRows(*file, slots, 1);
    return file;
  }

  // The vector of the point that has `slot` for the `life`-th time.
  static std::vector<std::byte> Row(Slot slot, uint32_t life) {
    std::vector<std::byte> row(kRowBytes);
    for (size_t i = 0; i < kRowBytes; ++i) {
      row[i] = static_cast<std::byte>(slot * 31 + life * 7 + i);
    }
    return row;
  }
  static std::vector<std::byte> Rows(const std::vector<Slot>& slots, uint32_t life) {
    std::vector<std::byte> rows;
    for (Slot slot : slots) {
      const std::vector<std::byte> row = Row(slot, life);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
  }
  static void WriteRows(RowFile& file, const std::vector<Slot>& slots, uint32_t life) {
    file.Write(slots, Rows(slots, life).data());
  }
  static void FillRows(RowFile& file, const std::vector<Slot>& slots, uint32_t life) {
    file.Fill(slots, Rows(slots, life).data());
  }
  // Which life's row each slot has; 0: none.
  static std::vector<uint32_t> Lives(const RowFile& file, const std::vector<Slot>& slots) {
    std::vector<std::byte> rows(slots.size() * kRowBytes);
    const auto found = std::make_unique<bool[]>(slots.size());
    file.Read(slots, rows.data(), found.get());
    std::vector<uint32_t> lives;
    for (size_t i = 0; i < slots.size(); ++i) {
      lives.push_back(0);
      for (uint32_t life = 1; found[i] && life < 9 && lives.back() == 0; ++life) {
        if (std::memcmp(&rows[i * kRowBytes], Row(slots[i], life).data(), kRowBytes) == 0) {
          lives.back() = life;
        }
      }
      EXPECT_EQ(found[i], lives.back() != 0) << "slot " << slots[i];
    }
    return lives;
  }
  using Expected = std::vector<uint32_t>;

  void Overwrite(size_t offset, const std::string& bytes) {
    std::fstream file(options_.path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << bytes;
    ASSERT_TRUE(file.good());
  }
  std::string BytesAt(size_t offset, size_t size) {
    std::ifstream file(options_.path, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    std::string bytes(size, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(size));
    return bytes;
  }

  TempDir dir_;
  std::vector<std::string> logged_;
  RowFileOptions options_{.path = dir_.path() + "/7.rows",
                          .collection = 7,
                          .create_time_ms = 1'234,
                          .row_bytes = kRowBytes,
                          .log = [this](std::string_view line) { logged_.emplace_back(line); }};
};

TEST_F(RowFileTest, ReadsWhatWasWrittenInAnyOrder) {
  const auto file = Filled({0, 1, 2, 9, 10, 100'000});
  EXPECT_EQ(Lives(*file, {10, 2, 100'000, 0, 9, 1}), Expected(6, 1));
  EXPECT_EQ(Lives(*file, {3, 0, 8, 99'999, 100'001, 4'000'000'000}), Expected({0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(Lives(*file, {}), Expected());
}

TEST_F(RowFileTest, ALaterWriteTakesThePlaceOfARow) {
  const auto file = Filled({0, 1, 2});
  file->BeginCommit(1, 2);
  WriteRows(*file, {1}, 2);
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected({1, 2, 1}));
}

TEST_F(RowFileTest, ReadsRowsThatAreNotInMemory) {
  std::vector<Slot> slots(10'000);
  std::iota(slots.begin(), slots.end(), 0);
  const auto file = Filled(slots);
  DropFromPageCache(options_.path);
  EXPECT_EQ(Lives(*file, slots), Expected(slots.size(), 1));
}

TEST_F(RowFileTest, ReadsWithoutWaitingAllOrNothing) {
  std::vector<Slot> slots(200);
  std::iota(slots.begin(), slots.end(), 5);
  const auto file = Filled(slots);
  std::vector<std::byte> rows(slots.size() * kRowBytes);
  const auto found = std::make_unique<bool[]>(slots.size());
  ASSERT_TRUE(file->ReadCached(slots, rows.data(), found.get()));
  EXPECT_EQ(rows, Rows(slots, 1));
  for (const Slot absent : {4, 205, 1'000'000}) {
    slots[77] = absent;
    EXPECT_FALSE(file->ReadCached(slots, rows.data(), found.get()));
  }
  slots[77] = 6;
  EXPECT_TRUE(file->ReadCached(slots, rows.data(), found.get()));
  file->Remove();
  EXPECT_FALSE(file->ReadCached(slots, rows.data(), found.get()));
}

TEST_F(RowFileTest, RowsOfZerosAreRows) {
  const auto file = Filled({});
  const std::vector<std::byte> zeros(3 * kRowBytes);
  file->Write(std::vector<Slot>{4, 5, 7}, zeros.data());
  std::vector<std::byte> out(4 * kRowBytes, std::byte{1});
  bool found[4];
  file->Read(std::vector<Slot>{4, 5, 6, 7}, out.data(), found);
  EXPECT_TRUE(found[0] && found[1] && !found[2] && found[3]);
  EXPECT_EQ(std::count(out.begin(), out.begin() + 2 * kRowBytes, std::byte{0}), 2 * kRowBytes);
}

TEST_F(RowFileTest, AfterAKillTheRowsAreThere) {
  Filled({0, 1, 2}).reset();
  // The kill met the commit: it may be in the store, or not.
  for (uint64_t sequence : {0, 1}) {
    const auto file = Open(sequence);
    EXPECT_TRUE(file->is_complete());
    EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 1));
  }
}

TEST_F(RowFileTest, AfterAPowerCutNothingIsTrusted) {
  Filled({0, 1, 2}).reset();
  const auto file = Open(1, kNextBoot);
  EXPECT_FALSE(file->is_complete());
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 0));
}

TEST_F(RowFileTest, AClosedFileOutlivesTheKernel) {
  Filled({0, 1, 2})->Close(1);
  {
    const auto file = Open(1, kNextBoot);
    EXPECT_TRUE(file->is_complete());
    EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 1));
    // From here on it is open again.
    file->BeginCommit(1, 2);
  }
  EXPECT_FALSE(Open(1, kThisBoot)->is_complete());
}

TEST_F(RowFileTest, AStoreInAnotherStateHasOtherRows) {
  for (const bool closed : {false, true}) {
    for (const uint64_t sequence : {4, 7}) {
      {
        const auto file = Filled({0, 1, 2});
        file->BeginCommit(5, 6);
        if (closed) file->Close(6);
      }
      const auto file = Open(sequence);
      EXPECT_FALSE(file->is_complete()) << sequence;
      EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 0));
      std::filesystem::remove(options_.path);
    }
  }
}

TEST_F(RowFileTest, AnotherCollectionHasOtherRows) {
  const RowFileOptions good = options_;
  for (int change = 0; change < 3; ++change) {
    options_ = good;
    Filled({0, 1, 2}).reset();
    if (change == 0) options_.collection = 8;
    if (change == 1) options_.create_time_ms = 1'235;
    if (change == 2) options_.row_bytes = kRowBytes / 2;
    EXPECT_FALSE(Open(1)->is_complete()) << change;
    std::filesystem::remove(options_.path);
  }
}

TEST_F(RowFileTest, AFileThatWasNotFilledStartsAnew) {
  {
    const auto file = Open(5);
    EXPECT_FALSE(file->is_complete());
    FillRows(*file, {0, 1, 2}, 1);
    file->Close(5);
  }
  const auto file = Open(5);
  EXPECT_FALSE(file->is_complete());
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 0));
}

TEST_F(RowFileTest, FillingLeavesWhatIsWrittenMeanwhile) {
  const auto file = Open(5);
  file->BeginCommit(5, 6);
  WriteRows(*file, {1, 4, 700}, 2);
  FillRows(*file, {0, 1, 2, 3, 4, 5}, 1);
  FillRows(*file, {699, 700, 701}, 1);
  file->SetComplete();
  EXPECT_TRUE(file->is_complete());
  EXPECT_EQ(Lives(*file, {0, 1, 2, 3, 4, 5, 699, 700, 701}), Expected({1, 2, 1, 1, 2, 1, 1, 2, 1}));
}

TEST_F(RowFileTest, ADamagedRowIsAbsent) {
  const auto file = Filled({0, 1, 2});
  for (const size_t byte : {size_t{0}, kRowBytes - 1, kRowBytes, kRowDistance - 1}) {
    const size_t offset = kRowsOffset + kRowDistance + byte;
    const std::string good = BytesAt(offset, 1);
    Overwrite(offset, std::string(1, static_cast<char>(good[0] ^ 8)));
    EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected({1, 0, 1})) << byte;
    Overwrite(offset, good);
  }
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 1));
}

TEST_F(RowFileTest, ARowInAnotherSlotsPlaceIsAbsent) {
  const auto file = Filled({0, 1, 2});
  Overwrite(kRowsOffset, BytesAt(kRowsOffset + 2 * kRowDistance, kRowDistance));
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected({0, 1, 1}));
}

TEST_F(RowFileTest, ACutFileHasNoRowsBehindTheCut) {
  const auto file = Filled({0, 1, 2});
  std::filesystem::resize_file(options_.path, kRowsOffset + 2 * kRowDistance + 5);
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected({1, 1, 0}));
}

TEST_F(RowFileTest, ADamagedHeadIsNotTrusted) {
  Filled({0, 1, 2}).reset();
  const std::string head = BytesAt(0, 88);
  for (size_t i = 0; i < head.size(); ++i) {
    std::string damaged = head;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    Overwrite(0, damaged);
    EXPECT_FALSE(Open(1)->is_complete()) << i;
    // Opened in vain: it has begun anew.
    std::filesystem::remove(options_.path);
    Filled({0, 1, 2}).reset();
  }
  EXPECT_TRUE(Open(1)->is_complete());
}

TEST_F(RowFileTest, GivesRoomBack) {
  const auto file = Filled({0, 1, 2, 50'000});
  file->Shrink(60'000);
  EXPECT_EQ(Lives(*file, {0, 1, 2, 50'000}), Expected(4, 1));
  file->Shrink(2);
  EXPECT_EQ(std::filesystem::file_size(options_.path), kRowsOffset + 2 * kRowDistance);
  EXPECT_EQ(Lives(*file, {0, 1, 2, 50'000}), Expected({1, 1, 0, 0}));
  file->BeginCommit(1, 2);
  WriteRows(*file, {2}, 2);
  EXPECT_EQ(Lives(*file, {0, 1, 2, 50'000}), Expected({1, 1, 2, 0}));
}

TEST_F(RowFileTest, GivesUpWhereTheDiskIsNearlyFull) {
  options_.free_disk_bytes_min = uint64_t{1} << 60;
  const auto file = Filled({0, 1, 2});
  EXPECT_FALSE(file->is_usable());
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 0));
  EXPECT_FALSE(std::filesystem::exists(options_.path));
  EXPECT_EQ(file->disk_bytes(), 0u);
  ASSERT_EQ(logged_.size(), 1u);
  EXPECT_EQ(logged_[0], "the copy 7.rows is given up: the disk is nearly full");
  // Whoever goes on writing need not know.
  file->BeginCommit(1, 2);
  WriteRows(*file, {3}, 1);
  FillRows(*file, {4}, 1);
  file->SetComplete();
  file->Close(2);
  EXPECT_FALSE(std::filesystem::exists(options_.path));
  EXPECT_EQ(logged_.size(), 1u);
}

TEST_F(RowFileTest, ARemovedFileIsGoneWithoutAWord) {
  const auto file = Filled({0, 1, 2});
  file->Remove();
  EXPECT_FALSE(std::filesystem::exists(options_.path));
  EXPECT_EQ(Lives(*file, {0, 1, 2}), Expected(3, 0));
  EXPECT_TRUE(logged_.empty());
}

TEST_F(RowFileTest, AFolderThatIsNotThereIsAnError) {
  options_.path = dir_.path() + "/absent/7.rows";
  EXPECT_EQ(RowFile::Open(options_, 0).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RowFileTest, TheSystemHasABootId) { EXPECT_EQ(RowFile::SystemBootId().size(), 36u); }

}  // namespace
}  // namespace tessera
