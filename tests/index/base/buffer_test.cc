#include "index/base/buffer.h"

#include <cstdint>
#include <utility>

#include "gtest/gtest.h"
#include "index/base/matrix.h"

namespace tessera {
namespace {

TEST(AlignedBufferTest, IsAlignedAndZeroed) {
  for (size_t size : {1, 63, 64, 65, 4096, 3 << 20}) {
    AlignedBuffer<uint8_t> buffer(size);
    ASSERT_EQ(buffer.size(), size);
    const size_t alignment = size >= (2 << 20) ? 2 << 20 : 64;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % alignment, 0u) << size;
    size_t nonzero = 0;
    for (size_t i = 0; i < size; ++i) nonzero += buffer[i] != 0;
    EXPECT_EQ(nonzero, 0u) << size;
  }
}

TEST(AlignedBufferTest, MovesItsMemory) {
  AlignedBuffer<int> first(3);
  first[1] = 7;
  const int* memory = first.data();
  AlignedBuffer<int> second(std::move(first));
  EXPECT_EQ(second.data(), memory);
  AlignedBuffer<int> third;
  third = std::move(second);
  EXPECT_EQ(third.data(), memory);
  EXPECT_EQ(third[1], 7);
  EXPECT_EQ(third.size(), 3u);
}

TEST(AlignedBufferTest, WhatIsReleasedIsZeroAndTheRestIsNot) {
  constexpr size_t kPage = 2 << 20;
  AlignedBuffer<uint32_t> buffer(3 * kPage / sizeof(uint32_t));
  for (size_t i = 0; i < buffer.size(); ++i) buffer[i] = 7;
  const size_t begin = kPage / sizeof(uint32_t) + 1;
  buffer.ReleaseFrom(begin);
  size_t zero = 0;
  for (size_t i = 0; i < buffer.size(); ++i) {
    if (i < begin) {
      ASSERT_EQ(buffer[i], 7u);
    }
    zero += buffer[i] == 0;
  }
  EXPECT_EQ(zero, kPage / sizeof(uint32_t)) << "whole pages only";
  buffer[buffer.size() - 1] = 9;
  EXPECT_EQ(buffer[buffer.size() - 1], 9u);
  // On the heap, too, but nothing of what lies around.
  AlignedBuffer<uint8_t> small(100'000);
  for (size_t i = 0; i < small.size(); ++i) small[i] = 7;
  small.ReleaseFrom(10'000);
  EXPECT_EQ(small[9'999], 7u);
  EXPECT_EQ(small[50'000], 0u);
  AlignedBuffer<uint8_t> tiny(100);
  tiny[99] = 7;
  tiny.ReleaseFrom(0);
  EXPECT_EQ(tiny[99], 7u);
}

TEST(AlignedBufferTest, EmptyOwnsNothing) {
  EXPECT_EQ(AlignedBuffer<float>().data(), nullptr);
  EXPECT_EQ(AlignedBuffer<float>(0).data(), nullptr);
}

TEST(MatrixTest, RowsAreContiguous) {
  Matrix matrix(3, 5);
  matrix.row(2)[4] = 9;
  EXPECT_EQ(matrix.data()[14], 9);
  const MatrixView tail = matrix.view().Rows(2, 1);
  EXPECT_EQ(tail.rows, 1u);
  EXPECT_EQ(tail.row(0)[4], 9);
}

TEST(VectorsViewTest, RowsHaveTheSizeOfTheirType) {
  const std::byte bytes[24] = {};
  const VectorsView view = {bytes, ElementType::kFloat16, 4, 3};
  EXPECT_EQ(view.row_bytes(), 6u);
  EXPECT_EQ(view.row(2), bytes + 12);
  EXPECT_EQ(view.Rows(1, 2).row(1), bytes + 12);
}

}  // namespace
}  // namespace tessera
