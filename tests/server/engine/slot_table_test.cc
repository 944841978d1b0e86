#include "server/engine/slot_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace tessera {
namespace {

std::string IdOf(Slot slot) { return "id-" + std::to_string(slot); }

TEST(SlotTable, KeepsWhatWasSetAcrossChunks) {
  SlotTable table(sizeof(Slot));
  // Around every chunk border that a small table has.
  for (Slot slot = 0; slot < 40'000; ++slot) {
    const auto* vector = reinterpret_cast<const std::byte*>(&slot);
    const PointId id = slot % 2 == 0 ? PointId(uint64_t{slot} << 40) : PointId(IdOf(slot));
    table.Set(slot, id, vector);
    table.SetList(slot, slot * 3);
  }
  for (Slot slot = 0; slot < 40'000; ++slot) {
    ASSERT_EQ(table.id(slot), slot % 2 == 0 ? PointId(uint64_t{slot} << 40) : PointId(IdOf(slot)));
    ASSERT_EQ(table.list(slot), slot * 3);
    Slot stored;
    std::memcpy(&stored, table.row(slot), sizeof(stored));
    ASSERT_EQ(stored, slot);
  }
}

size_t ResidentBytes() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST(SlotTable, GivesMemoryBackWhenItShrinks) {
  constexpr size_t kVectorBytes = 512;
  constexpr Slot kSlots = 100'000, kKept = 10'000;
  SlotTable table(kVectorBytes);
  const auto fill = [&](Slot begin, Slot end) {
    for (Slot slot = begin; slot < end; ++slot) {
      const std::vector<std::byte> vector(kVectorBytes, static_cast<std::byte>(slot));
      table.Set(slot, PointId(uint64_t{slot}), vector.data());
    }
  };
  fill(0, kSlots);
  EXPECT_FALSE(table.Shrink(kSlots - 100)) << "so little is not worth it";
  EXPECT_EQ(table.id(kSlots - 1), PointId(uint64_t{kSlots - 1}));
  const size_t full = ResidentBytes();
  EXPECT_TRUE(table.Shrink(kKept));
  const size_t released = full - ResidentBytes();
  EXPECT_GE(released, (kSlots - kKept) * kVectorBytes * 8 / 10);
  EXPECT_EQ(table.row(kSlots - 1)[7], std::byte{0});
  for (Slot slot = 0; slot < kKept; ++slot) {
    ASSERT_EQ(table.id(slot), PointId(uint64_t{slot}));
    ASSERT_EQ(table.row(slot)[kVectorBytes - 1], static_cast<std::byte>(slot));
  }
  fill(kKept, kSlots);
  for (Slot slot = 0; slot < kSlots; ++slot) {
    ASSERT_EQ(table.row(slot)[3], static_cast<std::byte>(slot));
  }
}

TEST(SlotTable, StringsOfReusedSlotsAreFreed) {
  SlotTable table(0);
  for (Slot slot = 0; slot < 100; ++slot) table.Set(slot, PointId(std::string(200, 'a')), nullptr);
  const size_t full = table.memory_bytes(100);
  for (int round = 0; round < 10; ++round) {
    for (Slot slot = 0; slot < 100; ++slot) {
      if (slot % 3 == 0) table.ClearId(slot);
      table.Set(slot, PointId(std::string(200, static_cast<char>('b' + round))), nullptr);
    }
  }
  EXPECT_EQ(table.id(7), PointId(std::string(200, 'k')));
  EXPECT_EQ(table.memory_bytes(100), full);
  for (Slot slot = 0; slot < 100; ++slot) table.Set(slot, PointId(uint64_t{slot}), nullptr);
  EXPECT_LT(table.memory_bytes(100) + 100 * 200, full);
}

TEST(SlotTable, ContiguousRunsCoverTheTable) {
  SlotTable table(8);
  for (Slot slot = 0; slot < 10'000; ++slot) table.Set(slot, PointId(uint64_t{1}), nullptr);
  Slot slot = 0;
  while (slot < 10'000) {
    const size_t run = table.ContiguousSlots(slot);
    for (size_t i = 1; i < std::min<size_t>(run, 10'000 - slot); ++i) {
      ASSERT_EQ(table.row(slot) + i * 8, table.row(static_cast<Slot>(slot + i)));
    }
    slot += static_cast<Slot>(run);
  }
}

TEST(SlotTable, WithoutVectorsThereAreNone) {
  SlotTable table(0);
  table.Set(5, PointId(std::string("x")), nullptr);
  EXPECT_EQ(table.row(5), nullptr);
}

TEST(SlotTable, RowsMayComeLate) {
  constexpr size_t kRowBytes = 16;
  SlotTable table(kRowBytes);
  const std::vector<std::byte> row(kRowBytes, std::byte{7});
  for (const Slot slot : {0u, 5u, 3'000u}) {
    table.Set(slot, PointId(uint64_t{slot}), nullptr);
    EXPECT_EQ(table.LateRow(slot), nullptr);
    table.SetLateRow(slot, row.data());
    ASSERT_EQ(table.LateRow(slot), table.row(slot));
    EXPECT_EQ(std::memcmp(table.row(slot), row.data(), kRowBytes), 0);
  }
  table.Set(1, PointId(uint64_t{1}), row.data());
  EXPECT_NE(table.LateRow(1), nullptr);
}

}  // namespace
}  // namespace tessera
