#include "client/cli/files/vector_reader.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(VectorReader, PassesElementTypesThrough) {
  const TempDir dir;
  struct Case {
    const char* descr;
    ElementType type;
    size_t size;
  };
  for (const Case& c :
       {Case{"<f2", ElementType::kFloat16, 2}, Case{"<f4", ElementType::kFloat32, 4},
        Case{"|u1", ElementType::kUint8, 1}, Case{"|i1", ElementType::kInt8, 1}}) {
    std::string data;
    for (size_t i = 0; i < 6 * c.size; ++i) data += static_cast<char>(i);
    const auto reader =
        VectorReader::Open(dir.Write("a.npy", NpyHeaderBytes(c.descr, "(3, 2)") + data));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->element_type(), c.type);
    EXPECT_EQ((*reader)->row_bytes(), 2 * c.size);
    std::string rows;
    EXPECT_EQ(*(*reader)->Read(10, &rows), 3u);
    EXPECT_EQ(rows, data);
  }
}

TEST(VectorReader, NarrowsFloat64) {
  const TempDir dir;
  std::string bytes = NpyHeaderBytes("<f8", "(2, 2)");
  for (const double value : {1.0, -0.1, 1e300, 5.5}) Put(bytes, value);
  const auto reader = VectorReader::Open(dir.Write("a.npy", bytes));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->element_type(), ElementType::kFloat32);
  std::string rows;
  EXPECT_EQ(*(*reader)->Read(10, &rows), 2u);
  std::vector<float> values(4);
  ASSERT_EQ(rows.size(), values.size() * sizeof(float));
  std::memcpy(values.data(), rows.data(), rows.size());
  EXPECT_THAT(values, ElementsAre(1.0f, -0.1f, HUGE_VALF, 5.5f));
}

TEST(VectorReader, RefusesWhatIsNotVectors) {
  const TempDir dir;
  const auto error = [&](const char* descr, const char* shape) {
    const std::string bytes = NpyHeaderBytes(descr, shape) + std::string(48, '\0');
    return std::string(VectorReader::Open(dir.Write("a.npy", bytes)).status().message());
  };
  EXPECT_THAT(error("<i8", "(3, 2)"), HasSubstr("components of type int64 are not vectors"));
  EXPECT_THAT(error("<i4", "(6, 2)"), HasSubstr("int32"));
  EXPECT_THAT(error("<f4", "(12,)"), HasSubstr("1 dimension"));
}

TEST(VectorReader, ReadsTheWordNetVectors) {
  const auto reader =
      VectorReader::Open(std::string(TESSERA_TEST_DATA_DIR) + "/wordnet/vectors.npy");
  if (absl::IsNotFound(reader.status())) GTEST_SKIP() << reader.status();
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->rows(), 25'000u);
  EXPECT_EQ((*reader)->dimension(), 128u);
  EXPECT_EQ((*reader)->element_type(), ElementType::kFloat16);
  std::string rows;
  uint64_t total = 0;
  while (true) {
    const auto read = (*reader)->Read(999, &rows);
    ASSERT_TRUE(read.ok()) << read.status();
    if (*read == 0) break;
    EXPECT_EQ(rows.size(), *read * 256);
    total += *read;
  }
  EXPECT_EQ(total, 25'000u);
}

}  // namespace
}  // namespace tessera::cli
