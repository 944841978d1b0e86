#include "client/cli/files/npy_header.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/base/limits.h"
#include "tests/client/cli/files/test_files.h"

namespace tessera::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A header of version `major` around any text.
std::string WithText(std::string_view text, int major = 1) {
  std::string bytes("\x93NUMPY", 6);
  bytes += static_cast<char>(major);
  bytes += '\0';
  if (major == 1) {
    Put<uint16_t>(bytes, static_cast<uint16_t>(text.size()));
  } else {
    Put<uint32_t>(bytes, static_cast<uint32_t>(text.size()));
  }
  return bytes + std::string(text);
}

std::string ErrorOf(std::string_view bytes) {
  const auto header = ParseNpyHeader(bytes);
  EXPECT_FALSE(header.ok());
  EXPECT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(header.status().message());
}

TEST(NpyHeader, ReadsWhatNumPyWrites) {
  const std::string bytes = NpyHeaderBytes("<f4", "(1000, 128)");
  const auto header = ParseNpyHeader(bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->descr, "<f4");
  EXPECT_FALSE(header->fortran_order);
  EXPECT_THAT(header->shape, ElementsAre(1000, 128));
  EXPECT_EQ(header->data_offset, bytes.size());
  EXPECT_EQ(header->data_offset % 64, 0u);
}

TEST(NpyHeader, ReadsVersionsTwoAndThree) {
  for (const int major : {2, 3}) {
    const std::string bytes =
        WithText("{'descr': '<f8', 'fortran_order': True, 'shape': (3,), }\n", major);
    const auto header = ParseNpyHeader(bytes + "data");
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->descr, "<f8");
    EXPECT_TRUE(header->fortran_order);
    EXPECT_THAT(header->shape, ElementsAre(3));
    EXPECT_EQ(header->data_offset, bytes.size());
  }
}

TEST(NpyHeader, ReadsOtherSpellings) {
  const auto header =
      ParseNpyHeader(WithText("{\"shape\":(2L,3L),\"fortran_order\":False,\"descr\":\"|u1\"}"));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_THAT(header->shape, ElementsAre(2, 3));
  const auto scalar =
      ParseNpyHeader(WithText("{'descr': '<f4', 'fortran_order': False, 'shape': ()}"));
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_THAT(scalar->shape, IsEmpty());
}

TEST(NpyHeader, RefusesEveryTruncation) {
  const std::string bytes = NpyHeaderBytes("<f4", "(10, 4)");
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(ErrorOf(std::string_view(bytes).substr(0, size)), HasSubstr("byte"))
        << "at " << size;
  }
}

TEST(NpyHeader, SurvivesEveryByteSetToAnyValue) {
  const std::string bytes = NpyHeaderBytes("<f4", "(10, 4)");
  size_t accepted = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(value);
      if (ParseNpyHeader(changed).ok()) ++accepted;
    }
  }
  // Every byte as it was is one of the values; digits and the dtype accept others.
  EXPECT_GE(accepted, bytes.size());
}

TEST(NpyHeader, NamesWhatIsWrong) {
  EXPECT_THAT(ErrorOf("hello, this is text"), HasSubstr("not a .npy file"));
  EXPECT_THAT(ErrorOf(WithText("{}", 4)), HasSubstr("byte 6: npy version 4"));
  EXPECT_THAT(ErrorOf(WithText("{}")), HasSubstr("lacks"));
  EXPECT_THAT(ErrorOf(WithText("[1, 2]")), HasSubstr("byte 10: expected '{'"));
  EXPECT_THAT(ErrorOf(WithText("{'descr': [('a', '<f4')], }")), HasSubstr("structured"));
  EXPECT_THAT(ErrorOf(WithText("{'colour': 'red'}")), HasSubstr("unknown key 'colour'"));
  EXPECT_THAT(ErrorOf(WithText("{'shape': (-1, 4)}")), HasSubstr("non-negative"));
  EXPECT_THAT(ErrorOf(WithText("{'shape': (99999999999999999999, 4)}")), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf(WithText("{'shape': (1 4)}")), HasSubstr("expected ',' or ')'"));
  EXPECT_THAT(ErrorOf(WithText("{'fortran_order': Maybe}")), HasSubstr("True or False"));
  EXPECT_THAT(ErrorOf(WithText("{'descr': '<f4}")), HasSubstr("unterminated"));
  EXPECT_THAT(ErrorOf(WithText("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)} more")),
              HasSubstr("text after"));
}

TEST(NpyHeader, BoundsItsLengthAndItsDimensions) {
  std::string bytes("\x93NUMPY\x02\x00", 8);
  Put<uint32_t>(bytes, 0xFFFFFFFFu);
  EXPECT_THAT(ErrorOf(bytes + "{"), HasSubstr("over the limit"));
  std::string shape;
  for (int i = 0; i < 40; ++i) shape += "1, ";
  EXPECT_THAT(ErrorOf(WithText("{'shape': (" + shape + ")}")), HasSubstr("too many dimensions"));
}

}  // namespace
}  // namespace tessera::cli
