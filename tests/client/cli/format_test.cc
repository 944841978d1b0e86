#include "client/cli/format.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

TEST(Format, Counts) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(Format, FixedNumbers) {
  EXPECT_EQ(FormatFixed(0.98765, 3), "0.988");
  EXPECT_EQ(FormatFixed(-1.5, 0), "-2");
  EXPECT_EQ(FormatFixed(std::nan(""), 3), "-");
  EXPECT_EQ(FormatFixed(HUGE_VAL, 3), "-");
}

TEST(Format, Rates) {
  EXPECT_EQ(FormatRate(0), "0.00");
  EXPECT_EQ(FormatRate(0.254), "0.25");
  EXPECT_EQ(FormatRate(12.34), "12.3");
  EXPECT_EQ(FormatRate(9.999), "10.0");
  EXPECT_EQ(FormatRate(99.96), "100");
  EXPECT_EQ(FormatRate(38'120.4), "38,120");
  EXPECT_EQ(FormatRate(-1), "-");
  EXPECT_EQ(FormatRate(HUGE_VAL), "-");
}

TEST(Format, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16.0 EiB");
}

TEST(Format, Durations) {
  EXPECT_EQ(FormatDuration(0), "0:00");
  EXPECT_EQ(FormatDuration(7.4), "0:07");
  EXPECT_EQ(FormatDuration(59.6), "1:00");
  EXPECT_EQ(FormatDuration(3723), "1:02:03");
  EXPECT_EQ(FormatDuration(2 * 86400 + 3 * 3600 + 4 * 60), "2d 03:04");
  EXPECT_EQ(FormatDuration(1e300), "-");
  EXPECT_EQ(FormatDuration(std::nan("")), "-");
  EXPECT_EQ(FormatDuration(-1), "-");
}

TEST(Format, CutsTextBetweenCharacters) {
  EXPECT_EQ(DisplayWidth("caf\xC3\xA9"), 4u);
  EXPECT_EQ(Ellipsize("salmon", 6), "salmon");
  EXPECT_EQ(Ellipsize("salmon", 5), "sa...");
  EXPECT_EQ(Ellipsize("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 4), "\xC3\xA9...");
  EXPECT_EQ(Ellipsize("salmon", 2), "..");
  EXPECT_EQ(Ellipsize("salmon", 0), "");
}

TEST(Format, KeepsControlCharactersFromTheTerminal) {
  EXPECT_EQ(Printable("a\nb\x1b[31m\x7F"), "a b [31m ");
  EXPECT_EQ(Printable("caf\xC3\xA9"), "caf\xC3\xA9");
}

}  // namespace
}  // namespace tessera::cli
