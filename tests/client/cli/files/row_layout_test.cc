#include "client/cli/files/row_layout.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(FileFormat format, std::string_view bytes, uint64_t file_bytes) {
  const auto layout = ParseRowLayout(format, bytes, file_bytes);
  EXPECT_FALSE(layout.ok());
  EXPECT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(layout.status().message());
}

std::string BinHeader(uint32_t rows, uint32_t dimension) {
  std::string bytes;
  Put(bytes, rows);
  Put(bytes, dimension);
  return bytes;
}

TEST(RowLayout, OfNpy) {
  struct Case {
    const char* descr;
    FileElement element;
    size_t size;
  };
  for (const Case& c :
       {Case{"<f2", FileElement::kFloat16, 2}, Case{"<f4", FileElement::kFloat32, 4},
        Case{"<f8", FileElement::kFloat64, 8}, Case{"|u1", FileElement::kUint8, 1},
        Case{"|i1", FileElement::kInt8, 1}, Case{"<i4", FileElement::kInt32, 4},
        Case{"<u4", FileElement::kUint32, 4}, Case{"<i8", FileElement::kInt64, 8},
        Case{"<u8", FileElement::kUint64, 8}, Case{"<u1", FileElement::kUint8, 1}}) {
    const std::string head = NpyHeaderBytes(c.descr, "(5, 3)");
    const uint64_t file_bytes = head.size() + 15 * c.size;
    const auto layout = ParseRowLayout(FileFormat::kNpy, head, file_bytes);
    ASSERT_TRUE(layout.ok()) << c.descr << ": " << layout.status();
    EXPECT_EQ(layout->element, c.element);
    EXPECT_EQ(layout->rows, 5u);
    EXPECT_EQ(layout->dimension, 3u);
    EXPECT_EQ(layout->row_offset(2), head.size() + 6 * c.size);
    EXPECT_TRUE(CheckComplete(*layout, file_bytes).ok());
  }
}

TEST(RowLayout, OfNpyWithoutRowsOrWithOneDimension) {
  const std::string empty = NpyHeaderBytes("<f4", "(0, 128)");
  auto layout = ParseRowLayout(FileFormat::kNpy, empty, empty.size());
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->rows, 0u);
  EXPECT_TRUE(CheckComplete(*layout, empty.size()).ok());
  const std::string flat = NpyHeaderBytes("<i8", "(4,)");
  layout = ParseRowLayout(FileFormat::kNpy, flat, flat.size() + 32);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_TRUE(layout->flat);
  EXPECT_EQ(layout->rows, 4u);
  EXPECT_EQ(layout->dimension, 1u);
}

TEST(RowLayout, RefusesNpyThatIsNotRowsOfVectors) {
  const auto error = [](const char* descr, const char* shape, bool fortran = false) {
    const std::string head = NpyHeaderBytes(descr, shape, fortran);
    return ErrorOf(FileFormat::kNpy, head, head.size() + 1000);
  };
  EXPECT_THAT(error("<f4", "(5, 3)", true), HasSubstr("Fortran"));
  EXPECT_THAT(error(">f4", "(5, 3)"), HasSubstr("big-endian"));
  EXPECT_THAT(error("<c8", "(5, 3)"), HasSubstr("'<c8' is not supported"));
  EXPECT_THAT(error("|S10", "(5, 3)"), HasSubstr("not supported"));
  EXPECT_THAT(error("|b1", "(5, 3)"), HasSubstr("not supported"));
  EXPECT_THAT(error("<f4", "()"), HasSubstr("0 dimensions"));
  EXPECT_THAT(error("<f4", "(2, 3, 4)"), HasSubstr("3 dimensions"));
  EXPECT_THAT(error("<f4", "(2, 0)"), HasSubstr("dimension 0"));
  EXPECT_THAT(error("<f4", "(2, 32769)"), HasSubstr("dimension 32769"));
  EXPECT_THAT(error("<f4", "(2, 18446744073709551615)"), HasSubstr("dimension 1844"));
}

TEST(RowLayout, CountsThatNoFileHoldsAreCutShort) {
  const std::string head = NpyHeaderBytes("<f8", "(18446744073709551615, 32768)");
  const auto layout = ParseRowLayout(FileFormat::kNpy, head, head.size() + 100);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->rows, 0u);
  EXPECT_THAT(std::string(CheckComplete(*layout, head.size() + 100).message()),
              HasSubstr("cut short"));
  const auto bin = ParseRowLayout(FileFormat::kFbin, BinHeader(0xFFFFFFFFu, 32768), 8);
  ASSERT_TRUE(bin.ok()) << bin.status();
  EXPECT_EQ(bin->rows, 0u);
  EXPECT_FALSE(CheckComplete(*bin, 8).ok());
}

TEST(RowLayout, OfVecs) {
  struct Case {
    FileFormat format;
    FileElement element;
    uint64_t record;
  };
  for (const Case& c : {Case{FileFormat::kFvecs, FileElement::kFloat32, 16},
                        Case{FileFormat::kBvecs, FileElement::kUint8, 7},
                        Case{FileFormat::kIvecs, FileElement::kInt32, 16}}) {
    std::string head;
    Put<int32_t>(head, 3);
    const auto layout = ParseRowLayout(c.format, head, 10 * c.record);
    ASSERT_TRUE(layout.ok()) << layout.status();
    EXPECT_EQ(layout->rows, 10u);
    EXPECT_EQ(layout->element, c.element);
    EXPECT_EQ(layout->record_bytes(), c.record);
    EXPECT_TRUE(CheckComplete(*layout, 10 * c.record).ok());
  }
}

TEST(RowLayout, RefusesVecsWithoutADimension) {
  EXPECT_THAT(ErrorOf(FileFormat::kFvecs, "", 0), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf(FileFormat::kFvecs, "\x01\x02", 2), HasSubstr("row 0, byte 2"));
  std::string zero, negative;
  Put<int32_t>(zero, 0);
  Put<int32_t>(negative, -1);
  EXPECT_THAT(ErrorOf(FileFormat::kBvecs, zero, 4), HasSubstr("byte 0: dimension 0"));
  EXPECT_THAT(ErrorOf(FileFormat::kBvecs, negative, 4), HasSubstr("dimension 4294967295"));
}

TEST(RowLayout, OfBin) {
  const auto layout = ParseRowLayout(FileFormat::kU8bin, BinHeader(4, 3), 8 + 12);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->rows, 4u);
  EXPECT_EQ(layout->row_offset(3), 17u);
  EXPECT_TRUE(CheckComplete(*layout, 20).ok());
  EXPECT_THAT(ErrorOf(FileFormat::kFbin, "1234567", 7), HasSubstr("byte 7"));
  EXPECT_THAT(ErrorOf(FileFormat::kI8bin, BinHeader(4, 0), 8), HasSubstr("byte 4: dimension 0"));
}

TEST(CheckComplete, NamesTheRowThatIsCutShort) {
  const auto bin = ParseRowLayout(FileFormat::kFbin, BinHeader(4, 2), 8 + 3 * 8 + 5);
  ASSERT_TRUE(bin.ok());
  EXPECT_EQ(bin->rows, 3u);
  EXPECT_THAT(
      std::string(CheckComplete(*bin, 8 + 3 * 8 + 5).message()),
      HasSubstr("row 3, byte 37: the file is cut short: row 3 starts at byte 32 and has 8 bytes"));
  std::string head;
  Put<int32_t>(head, 2);
  const auto vecs = ParseRowLayout(FileFormat::kFvecs, head, 2 * 12 + 1);
  ASSERT_TRUE(vecs.ok());
  EXPECT_THAT(std::string(CheckComplete(*vecs, 25).message()), HasSubstr("row 2, byte 25"));
}

TEST(CheckComplete, NamesBytesThatFollowTheLastRow) {
  const auto bin = ParseRowLayout(FileFormat::kU8bin, BinHeader(2, 2), 8 + 5);
  ASSERT_TRUE(bin.ok());
  EXPECT_EQ(bin->rows, 2u);
  EXPECT_THAT(std::string(CheckComplete(*bin, 13).message()), HasSubstr("byte 12: 1 bytes follow"));
}

TEST(AppendRows, StripsDimensionsAndChecksThem) {
  RowLayout layout;
  layout.format = FileFormat::kBvecs;
  layout.element = FileElement::kUint8;
  layout.dimension = 2;
  layout.prefix_bytes = 4;
  std::string raw;
  Put<int32_t>(raw, 2);
  raw += "ab";
  Put<int32_t>(raw, 2);
  raw += "cd";
  std::string out = "x";
  ASSERT_TRUE(AppendRows(layout, 0, raw, &out).ok());
  EXPECT_EQ(out, "xabcd");
  raw[6] = 3;
  const absl::Status status = AppendRows(layout, 100, raw, &out);
  EXPECT_THAT(std::string(status.message()), HasSubstr("row 101, byte 606: dimension 3"));
}

TEST(FileFormats, AreFoundByNameAndByPath) {
  EXPECT_EQ(*FileFormatFromName("npy"), FileFormat::kNpy);
  EXPECT_EQ(*FileFormatFromName("FBIN"), FileFormat::kFbin);
  EXPECT_FALSE(FileFormatFromName("hdf5").ok());
  EXPECT_EQ(*FileFormatFromPath("/data.v1/base.bvecs"), FileFormat::kBvecs);
  EXPECT_EQ(*FileFormatFromPath("x.tar.i8bin"), FileFormat::kI8bin);
  EXPECT_FALSE(FileFormatFromPath("/data.fbin/base").ok());
  EXPECT_FALSE(FileFormatFromPath("").ok());
  EXPECT_EQ(FileFormatName(FileFormat::kU8bin), "u8bin");
}

}  // namespace
}  // namespace tessera::cli
