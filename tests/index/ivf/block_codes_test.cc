#include "index/ivf/block_codes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace tessera {
namespace {

constexpr LutScanShape kShape{8, 4};
constexpr size_t kBlocks = 5;
constexpr Slot kSlots = kBlocks * kLutScanBlockVectors;

std::shared_ptr<BlockMemory> MakeBlocks(const std::shared_ptr<std::atomic<size_t>>& meter) {
  auto memory = std::make_shared<BlockMemory>(kBlocks, kShape.block_bytes(), meter);
  const std::vector<uint8_t> code(kShape.code_bytes());
  for (Slot slot = 0; slot < kSlots; ++slot) {
    uint8_t* block = memory->data() + slot / kLutScanBlockVectors * kShape.block_bytes();
    if (slot % kLutScanBlockVectors == 0) LutScanClear(kShape, block);
    LutScanPut(kShape, block, slot % kLutScanBlockVectors, code.data(), 0, kSlots - 1 - slot);
  }
  return memory;
}

std::shared_ptr<SlotCodes> MakeCodes(uint16_t first) {
  auto codes = std::make_shared<SlotCodes>();
  for (Slot slot = 0; slot < kSlots; ++slot) codes->Set(slot, static_cast<uint16_t>(first + slot));
  return codes;
}

void ExpectCodes(BlockMemory* memory, const std::shared_ptr<SlotCodes>& codes, uint16_t first) {
  alignas(64) uint16_t scratch[kSlots];
  const uint8_t* second = memory->data() + kShape.block_bytes();
  const uint16_t* found = memory->Codes(codes, kShape, second, kBlocks - 1, scratch);
  for (Slot i = kLutScanBlockVectors; i < kSlots; ++i) {
    ASSERT_EQ(found[i - kLutScanBlockVectors], static_cast<uint16_t>(first + kSlots - 1 - i));
  }
}

TEST(BlockCodes, KeepsSomeKindsAndReadsOthers) {
  auto meter = std::make_shared<std::atomic<size_t>>(0);
  auto memory = MakeBlocks(meter);
  std::vector<std::shared_ptr<SlotCodes>> kinds;
  for (uint16_t kind = 0; kind < 2 * limits::kListCodesMax; ++kind) {
    kinds.push_back(MakeCodes(static_cast<uint16_t>(1000 * kind)));
    for (uint16_t k = 0; k <= kind; ++k) {
      ExpectCodes(memory.get(), kinds[k], static_cast<uint16_t>(1000 * k));
    }
  }
  // The places of those that nobody holds are given to others.
  kinds.clear();
  const size_t bytes = meter->load();
  ExpectCodes(memory.get(), MakeCodes(7), 7);
  EXPECT_EQ(meter->load(), bytes);
  memory.reset();
  EXPECT_EQ(meter->load(), 0u);
}

TEST(BlockCodes, ManyThreadsReadTheSame) {
  auto memory = MakeBlocks(std::make_shared<std::atomic<size_t>>(0));
  const auto codes = MakeCodes(3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { ExpectCodes(memory.get(), codes, 3); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tessera
