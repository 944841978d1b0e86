#include "client/cli/files/row_reader.h"

#include <sys/stat.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Sample {
  std::string name;
  std::string bytes;
  std::string rows;  // what reading it gives
};

// Three rows of dimension 2 in every format.
std::vector<Sample> Samples() {
  std::string floats, ints;
  for (const float value : {1.0f, -2.5f, 3.0f, 4.0f, 5.5f, 6.0f}) Put(floats, value);
  for (const int32_t value : {1, 2, 3, 4, 5, 6}) Put(ints, value);
  const std::string bytes = "abcdef";
  const auto vecs = [](const std::string& rows) {
    std::string out;
    for (size_t i = 0; i < 3; ++i) {
      Put<int32_t>(out, 2);
      out += rows.substr(i * rows.size() / 3, rows.size() / 3);
    }
    return out;
  };
  std::string bin;
  Put<uint32_t>(bin, 3);
  Put<uint32_t>(bin, 2);
  return {{"a.fvecs", vecs(floats), floats},
          {"a.bvecs", vecs(bytes), bytes},
          {"a.ivecs", vecs(ints), ints},
          {"a.fbin", bin + floats, floats},
          {"a.u8bin", bin + bytes, bytes},
          {"a.i8bin", bin + bytes, bytes},
          {"a.ibin", bin + ints, ints},
          {"a.npy", NpyHeaderBytes("<f4", "(3, 2)") + floats, floats}};
}

TEST(RowReader, ReadsEveryFormatInChunksOfAnySize) {
  const TempDir dir;
  for (const Sample& sample : Samples()) {
    const std::string path = dir.Write(sample.name, sample.bytes);
    for (const uint64_t chunk : {1, 2, 3, 100}) {
      const auto reader = RowReader::Open(path);
      ASSERT_TRUE(reader.ok()) << reader.status();
      EXPECT_EQ((*reader)->shape().rows, 3u);
      std::string all, rows;
      while (true) {
        const auto read = (*reader)->Read(chunk, &rows);
        ASSERT_TRUE(read.ok()) << read.status();
        if (*read == 0) break;
        EXPECT_LE(*read, chunk);
        all += rows;
      }
      EXPECT_EQ(all, sample.rows) << sample.name;
    }
  }
}

TEST(RowReader, RefusesEveryTruncationAndNamesFileAndByte) {
  const TempDir dir;
  for (const Sample& sample : Samples()) {
    for (size_t size = 0; size < sample.bytes.size(); ++size) {
      const std::string path =
          dir.Write(sample.name, std::string_view(sample.bytes).substr(0, size));
      const auto reader = RowReader::Open(path);
      const bool vecs = sample.name.ends_with("vecs");
      if (vecs && size > 0 && size % (sample.bytes.size() / 3) == 0) {
        // Whole rows only: nothing shows that there were more.
        EXPECT_TRUE(reader.ok()) << sample.name << " of " << size;
        continue;
      }
      ASSERT_FALSE(reader.ok()) << sample.name << " of " << size;
      EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(reader.status().message()), HasSubstr(path + ": "));
      EXPECT_THAT(std::string(reader.status().message()), HasSubstr("byte "));
    }
  }
}

TEST(RowReader, ReadsTheWholeRowsOfATruncatedFileIfAllowed) {
  const TempDir dir;
  for (const Sample& sample : Samples()) {
    const std::string path =
        dir.Write(sample.name, std::string_view(sample.bytes).substr(0, sample.bytes.size() - 1));
    const auto reader = RowReader::Open(path, {.allow_truncated = true});
    ASSERT_TRUE(reader.ok()) << reader.status();
    std::string rows;
    EXPECT_EQ(*(*reader)->Read(100, &rows), 2u);
    EXPECT_EQ(rows, sample.rows.substr(0, sample.rows.size() / 3 * 2));
  }
}

TEST(RowReader, StopsAtARowWithAnotherDimension) {
  const TempDir dir;
  std::string bytes;
  for (int row = 0; row < 10; ++row) {
    Put<int32_t>(bytes, row == 7 ? 5 : 4);
    bytes += "abcd";
  }
  const auto reader = RowReader::Open(dir.Write("a.bvecs", bytes));
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::string rows;
  EXPECT_EQ(*(*reader)->Read(5, &rows), 5u);
  const auto read = (*reader)->Read(5, &rows);
  EXPECT_THAT(std::string(read.status().message()),
              HasSubstr("a.bvecs: row 7, byte 56: dimension 5, but row 0 has 4"));
}

TEST(RowReader, NamesTheRowThatShiftsAllOthers) {
  const TempDir dir;
  std::string bytes;
  for (int row = 0; row < 10; ++row) {
    Put<int32_t>(bytes, row == 7 ? 5 : 4);
    bytes += row == 7 ? "abcde" : "abcd";
  }
  const auto reader = RowReader::Open(dir.Write("a.bvecs", bytes));
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("row 7, byte 56: dimension 5"));
}

TEST(RowReader, Seeks) {
  const TempDir dir;
  const Sample sample = Samples()[1];
  const auto reader = RowReader::Open(dir.Write(sample.name, sample.bytes));
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE((*reader)->Seek(2).ok());
  std::string rows;
  EXPECT_EQ(*(*reader)->Read(100, &rows), 1u);
  EXPECT_EQ(rows, "ef");
  EXPECT_TRUE((*reader)->Seek(3).ok());
  EXPECT_EQ((*reader)->Seek(4).code(), absl::StatusCode::kOutOfRange);
}

TEST(RowReader, RefusesWhatIsNotAFile) {
  const TempDir dir;
  EXPECT_EQ(RowReader::Open(dir.Path("absent.npy")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(RowReader::Open("/").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(RowReader::Open(dir.Write("a.txt", "x")).status().message()),
              HasSubstr("unknown format 'txt'"));
  // Nobody ever writes to this one.
  ASSERT_EQ(mkfifo(dir.Path("pipe.npy").c_str(), 0600), 0);
  EXPECT_THAT(std::string(RowReader::Open(dir.Path("pipe.npy")).status().message()),
              HasSubstr("not a regular file"));
}

TEST(RowReader, NoticesAFileThatShrinks) {
  const TempDir dir;
  const Sample sample = Samples()[3];
  const std::string path = dir.Write(sample.name, sample.bytes);
  const auto reader = RowReader::Open(path);
  ASSERT_TRUE(reader.ok());
  std::filesystem::resize_file(path, 12);
  std::string rows;
  const auto read = (*reader)->Read(3, &rows);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("byte 12"));
}

TEST(GroundTruth, ReadsIvecs) {
  const TempDir dir;
  const Sample sample = Samples()[2];
  const auto truth = ReadGroundTruth(dir.Write(sample.name, sample.bytes));
  ASSERT_TRUE(truth.ok()) << truth.status();
  EXPECT_EQ(truth->queries, 3u);
  EXPECT_EQ(truth->neighbors, 2u);
  EXPECT_THAT(truth->ids, ElementsAre(1, 2, 3, 4, 5, 6));
}

// As the big-ann benchmarks lay out their files: ids, then as many distances.
TEST(GroundTruth, ReadsIbinWithAndWithoutDistances) {
  const TempDir dir;
  std::string bytes;
  Put<uint32_t>(bytes, 2);
  Put<uint32_t>(bytes, 3);
  for (const int32_t id : {6, 5, 4, 3, 2, 1}) Put(bytes, id);
  std::string distances;
  for (int i = 0; i < 6; ++i) Put<float>(distances, 1.5f);
  for (const char* name : {"gt.ibin", "gt.bin", "GT.BIN"}) {
    for (const std::string& tail : {std::string(), distances}) {
      const auto truth = ReadGroundTruth(dir.Write(name, bytes + tail));
      ASSERT_TRUE(truth.ok()) << truth.status();
      EXPECT_EQ(truth->queries, 2u);
      EXPECT_EQ(truth->neighbors, 3u);
      EXPECT_THAT(truth->ids, ElementsAre(6, 5, 4, 3, 2, 1));
    }
    const auto truth = ReadGroundTruth(dir.Write(name, bytes + distances.substr(4)));
    EXPECT_THAT(std::string(truth.status().message()), HasSubstr("20 bytes follow the last"));
  }
}

TEST(GroundTruth, ReadsIntegersOfAnyKindThatRowNumbersAre) {
  const TempDir dir;
  const auto check = [&](const char* descr, auto one) {
    std::string bytes = NpyHeaderBytes(descr, "(1, 2)");
    Put(bytes, one);
    Put(bytes, static_cast<decltype(one)>(7));
    const auto truth = ReadGroundTruth(dir.Write("gt.npy", bytes));
    ASSERT_TRUE(truth.ok()) << truth.status();
    EXPECT_THAT(truth->ids, ElementsAre(static_cast<int32_t>(one), 7));
  };
  check("<i4", int32_t{-1});
  check("<i8", int64_t{-1});
  check("<u4", uint32_t{2'147'483'647});
  check("<u8", uint64_t{2'147'483'647});
  std::string bytes = NpyHeaderBytes("<u4", "(1, 2)");
  Put<uint32_t>(bytes, 1);
  Put<uint32_t>(bytes, 2'147'483'648);
  EXPECT_THAT(std::string(ReadGroundTruth(dir.Write("gt.npy", bytes)).status().message()),
              HasSubstr("row 0, byte 128: neighbour 1, 2147483648, is no row number"));
}

TEST(GroundTruth, RefusesFloats) {
  const TempDir dir;
  const Sample sample = Samples()[0];
  const auto truth = ReadGroundTruth(dir.Write(sample.name, sample.bytes));
  EXPECT_THAT(std::string(truth.status().message()), HasSubstr("int32, not of float32"));
}

}  // namespace
}  // namespace tessera::cli
