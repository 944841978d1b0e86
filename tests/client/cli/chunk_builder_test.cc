#include "client/cli/chunk_builder.h"

#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ChunkBuilderTest : public ::testing::Test {
 protected:
  // Rows of `row` bytes of uint8, and a payload file if `payload` is given.
  std::unique_ptr<PointSource> Files(uint32_t rows, uint32_t row, const char* payload = nullptr) {
    std::string bytes;
    Put(bytes, rows);
    Put(bytes, row);
    for (uint32_t i = 0; i < rows; ++i) bytes += std::string(row, static_cast<char>('a' + i % 26));
    RowFiles files;
    files.vectors = *VectorReader::Open(dir_.Write("v.u8bin", bytes));
    files.ids = MakeRowNumberIds();
    if (payload != nullptr) {
      files.payloads = *PayloadSource::Open(dir_.Write("p.jsonl", payload));
    }
    return MakeRowFilesSource(std::move(files));
  }

  const TempDir dir_;
  v1::UpsertRequest request_;
};

TEST_F(ChunkBuilderTest, CutsRowsIntoChunks) {
  const auto chunks = ChunkBuilder::Create(Files(5, 2, "{}\n\n{\"a\":1}\n\n\n"), 0, 5, 2, true);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  EXPECT_EQ(*(*chunks)->Next(&request_), 2u);
  EXPECT_THAT(request_.ids().num(), ElementsAre(0, 1));
  EXPECT_EQ(request_.vectors().data(), "aabb");
  EXPECT_EQ(request_.vectors().element_type(), v1::UINT8);
  EXPECT_THAT(request_.payloads(), ElementsAre("{}", ""));
  EXPECT_EQ(*(*chunks)->Next(&request_), 2u);
  EXPECT_THAT(request_.payloads(), ElementsAre("{\"a\":1}", ""));
  EXPECT_EQ(*(*chunks)->Next(&request_), 1u);
  EXPECT_THAT(request_.ids().num(), ElementsAre(4));
  EXPECT_EQ(*(*chunks)->Next(&request_), 0u);
}

TEST_F(ChunkBuilderTest, StartsWhereItIsToldInEveryFile) {
  const auto chunks = ChunkBuilder::Create(Files(5, 1, "\n\n{\"a\":2}\n\n\n"), 2, 2, 100, false);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  EXPECT_EQ(*(*chunks)->Next(&request_), 2u);
  EXPECT_THAT(request_.ids().num(), ElementsAre(2, 3));
  EXPECT_EQ(request_.vectors().data(), "cd");
  EXPECT_THAT(request_.payloads(), ElementsAre("{\"a\":2}", ""));
  EXPECT_EQ(*(*chunks)->Next(&request_), 0u);
}

TEST_F(ChunkBuilderTest, BoundsTheBytesOfAChunk) {
  const uint32_t row = limits::kDimensionMax;
  const uint32_t fit = limits::kFileChunkBytesMax / row;
  const auto chunks = ChunkBuilder::Create(Files(fit + 1, row), 0, fit + 1, 100'000, true);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  EXPECT_EQ(*(*chunks)->Next(&request_), fit);
  EXPECT_EQ(*(*chunks)->Next(&request_), 1u);
}

TEST_F(ChunkBuilderTest, LargePayloadsEndAChunk) {
  std::string payloads;
  for (int i = 0; i < 300; ++i) payloads += "{\"a\":\"" + std::string(60'000, 'x') + "\"}\n";
  const auto chunks = ChunkBuilder::Create(Files(300, 1, payloads.c_str()), 0, 300, 100'000, true);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  uint64_t rows = 0;
  while (true) {
    const auto next = (*chunks)->Next(&request_);
    ASSERT_TRUE(next.ok()) << next.status();
    if (*next == 0) break;
    EXPECT_LE(*next, 140u);
    EXPECT_EQ(static_cast<uint64_t>(request_.payloads_size()), *next);
    EXPECT_EQ(request_.vectors().data().size(), *next);
    EXPECT_LT(request_.ByteSizeLong(), limits::kMessageBytesMax / 2);
    rows += *next;
  }
  EXPECT_EQ(rows, 300u);
}

TEST_F(ChunkBuilderTest, FindsMoreAndFewerPayloadsThanRows) {
  auto chunks = ChunkBuilder::Create(Files(3, 1, "{}\n{}\n"), 0, 3, 2, true);
  ASSERT_TRUE(chunks.ok());
  EXPECT_EQ(*(*chunks)->Next(&request_), 2u);
  EXPECT_THAT(std::string((*chunks)->Next(&request_).status().message()),
              HasSubstr("p.jsonl, line 3"));
  chunks = ChunkBuilder::Create(Files(1, 1, "{}\n{}\n"), 0, 1, 2, true);
  ASSERT_TRUE(chunks.ok());
  EXPECT_EQ(*(*chunks)->Next(&request_), 1u);
  EXPECT_THAT(std::string((*chunks)->Next(&request_).status().message()),
              HasSubstr("p.jsonl, line 2"));
}

TEST_F(ChunkBuilderTest, RefusesRowsThatAreNotThere) {
  EXPECT_FALSE(ChunkBuilder::Create(Files(3, 1), 4, 0, 2, true).ok());
  EXPECT_FALSE(ChunkBuilder::Create(Files(3, 1), 2, 2, 2, true).ok());
  EXPECT_TRUE(ChunkBuilder::Create(Files(3, 1), 3, 0, 2, true).ok());
}

}  // namespace
}  // namespace tessera::cli
