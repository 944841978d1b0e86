#include "client/cli/files/hdf5_rows.h"

#include <filesystem>

#include "client/cli/files/id_source.h"
#include "client/cli/files/vector_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/files/hdf5_file.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::string Bytes(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) Put<T>(bytes, value);
  return bytes;
}

std::string MessageOf(const std::string& path, const RowReaderOptions& options = {}) {
  const auto reader = RowReader::Open(path, options);
  EXPECT_FALSE(reader.ok());
  return std::string(reader.status().message());
}

TEST(ParseHdf5Path, FindsFileAndDataset) {
  const auto check = [](const char* path, const char* file, const char* dataset) {
    const std::optional<Hdf5Path> parsed = ParseHdf5Path(path);
    ASSERT_TRUE(parsed.has_value()) << path;
    EXPECT_EQ(parsed->file, file);
    EXPECT_EQ(parsed->dataset, dataset);
  };
  check("a.hdf5", "a.hdf5", "");
  check("a.H5", "a.H5", "");
  check("b:c/a.h5:train", "b:c/a.h5", "train");
  check("d/a.hdf5:x/y:z", "d/a.hdf5", "x/y:z");
  for (const char* path : {"a.npy", "a.hdf5.npy", "a.hdf5/b.npy", "hdf5", "a:b.npy", ""}) {
    EXPECT_FALSE(ParseHdf5Path(path).has_value()) << path;
  }
}

TEST(Hdf5Rows, ReadsEveryTypeInPartsOfAnySize) {
  const TempDir dir;
  const std::string path = dir.Path("a.hdf5");
  const std::string halves = Bytes<uint16_t>({0x3C00, 0xC000, 0x3800, 1, 2, 0x7BFF});
  const std::string floats = Bytes<float>({1, -2, 3.5, 4, 5, 6});
  const std::string doubles = Bytes<double>({1, -2, 3.5, 4, 5, 6});
  const std::string bytes = "abcdef";
  for (const bool compressed : {false, true}) {
    std::vector<Hdf5Data> datasets = {
        {"float16", "float16", {3, 2}, halves},  {"float32", "float32", {3, 2}, floats},
        {"float64", "float64", {3, 2}, doubles}, {"uint8", "uint8", {3, 2}, bytes},
        {"int8", "int8", {3, 2}, bytes},         {"a/b", "float32", {3, 2}, floats}};
    for (Hdf5Data& data : datasets) data.compressed = compressed;
    WriteHdf5(path, datasets);
    for (const Hdf5Data& data : datasets) {
      for (const uint64_t rows_max : {1, 2, 100}) {
        const auto reader = RowReader::Open(path + ":" + data.name);
        ASSERT_TRUE(reader.ok()) << reader.status();
        EXPECT_EQ((*reader)->shape().rows, 3u);
        EXPECT_EQ((*reader)->shape().dimension, 2u);
        if (data.name == data.type) {
          EXPECT_EQ(FileElementName((*reader)->shape().element), data.type);
        }
        std::string all, rows;
        while (*(*reader)->Read(rows_max, &rows) > 0) all += rows;
        EXPECT_EQ(all, data.bytes) << data.name;
        EXPECT_TRUE((*reader)->Seek(2).ok());
        EXPECT_EQ(*(*reader)->Read(5, &rows), 1u);
        EXPECT_EQ(rows, data.bytes.substr(2 * data.bytes.size() / 3));
      }
    }
  }
}

TEST(Hdf5Rows, GivesBigEndianNumbersAsThisMachineHasThem) {
  const TempDir dir;
  const std::string path = dir.Path("a.h5");
  // As the file has them.
  WriteHdf5(path,
            {{"train", "float32 big-endian", {1, 2}, std::string("\x3F\x80\0\0\xC0\0\0\0", 8)}});
  const auto reader = VectorReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::string rows;
  EXPECT_EQ(*(*reader)->Read(10, &rows), 1u);
  EXPECT_EQ(rows, Bytes<float>({1, -2}));
}

// As the ann-benchmarks lay out their files.
TEST(Hdf5Rows, OneFileHasVectorsQueriesAndGroundTruth) {
  const TempDir dir;
  const std::string path = dir.Path("a.hdf5");
  WriteHdf5(path, {{"train", "float64", {2, 2}, Bytes<double>({1, 2, 3, 4})},
                   {"test", "float32", {1, 2}, Bytes<float>({5, 6})},
                   {"neighbors", "int64", {1, 3}, Bytes<int64_t>({1, 0, -1})},
                   {"ids", "uint64", {2}, Bytes<uint64_t>({70, UINT64_MAX})}});
  const auto vectors = VectorReader::Open(path);
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  std::string rows;
  EXPECT_EQ(*(*vectors)->Read(10, &rows), 2u);
  EXPECT_EQ(rows, Bytes<float>({1, 2, 3, 4}));
  const auto truth = ReadGroundTruth(path);
  ASSERT_TRUE(truth.ok()) << truth.status();
  EXPECT_EQ(truth->queries, 1u);
  EXPECT_THAT(truth->ids, ElementsAre(1, 0, -1));
  const auto ids = OpenIdFile(path, IdKind::kAuto);
  ASSERT_TRUE(ids.ok()) << ids.status();
  IdBatch batch;
  EXPECT_TRUE((*ids)->Next(2, &batch).ok());
  EXPECT_THAT(batch.numbers, ElementsAre(70, UINT64_MAX));
}

TEST(Hdf5Rows, RefusesWhatIsNoMatrixOfNumbers) {
  const TempDir dir;
  const std::string path = dir.Path("a.hdf5");
  WriteHdf5(path, {{"deep", "float32", {1, 1, 1}, Bytes<float>({1})},
                   {"text", "string", {2, 2}, "abcd"},
                   {"short", "int16", {1, 1}, "ab"},
                   {"wide", "uint8", {1, 32769}, std::string(32769, 'x')},
                   {"flat", "float32", {2}, Bytes<float>({1, 2})},
                   // Rows that nobody wrote, of which there may be any number.
                   {"never", "float32", {1'000'000'000'000, 1000}, "", true},
                   {"filtered", "float32", {2, 1}, Bytes<float>({1, 2}), false, true},
                   {"far", "int64", {1, 2}, Bytes<int64_t>({1, 1LL << 31})}});
  EXPECT_THAT(MessageOf(path),
              HasSubstr("a.hdf5:train: there is no such dataset (deep, far, filtered, "));
  EXPECT_THAT(MessageOf(path + ":a/b"), HasSubstr("there is no such dataset"));
  EXPECT_THAT(MessageOf(path + ":deep"), HasSubstr("it has 3 dimensions"));
  EXPECT_THAT(MessageOf(path + ":text"), HasSubstr("no numbers"));
  EXPECT_THAT(MessageOf(path + ":short"), HasSubstr("no numbers"));
  EXPECT_THAT(MessageOf(path + ":wide"), HasSubstr("dimension 32769 is not between"));
  EXPECT_THAT(MessageOf(path + ":never"),
              HasSubstr("states 1000000000000 rows, but holds 0 bytes"));
  EXPECT_THAT(MessageOf(path + ":filtered"), HasSubstr("compressed by foreign, which is not"));
  EXPECT_THAT(std::string(VectorReader::Open(path + ":flat").status().message()),
              HasSubstr("the array has 1 dimension"));
  EXPECT_THAT(std::string(ReadGroundTruth(path + ":far").status().message()),
              HasSubstr("row 0: neighbour 1, 2147483648, is no row number"));
}

TEST(Hdf5Rows, RefusesWhatIsNoFileOrCutShort) {
  const TempDir dir;
  EXPECT_EQ(RowReader::Open(dir.Path("absent.hdf5")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(dir.Write("text.hdf5", "no such thing")), HasSubstr("cannot be read"));
  const std::string path = dir.Path("a.hdf5");
  WriteHdf5(path, {{"train", "uint8", {100, 100}, std::string(10'000, 'x')}});
  const uint64_t size = std::filesystem::file_size(path);
  for (const uint64_t bytes : {size - 1, size / 2, uint64_t{600}, uint64_t{20}}) {
    std::filesystem::resize_file(path, bytes);
    EXPECT_THAT(MessageOf(path), HasSubstr("cannot be read")) << bytes;
  }
}

}  // namespace
}  // namespace tessera::cli
