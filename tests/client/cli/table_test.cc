#include "client/cli/table.h"

#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

TEST(Table, AlignsColumnsToTheirWidestCell) {
  Table table({{"NAME"}, {"POINTS", Align::kRight}, {"STATE"}});
  table.AddRow({"words", "25,000", "READY"});
  table.AddRow({"a", "7", "UNTRAINED"});
  EXPECT_EQ(table.Render(),
            "NAME   POINTS  STATE\n"
            "words  25,000  READY\n"
            "a           7  UNTRAINED\n");
}

TEST(Table, OfNothingHasItsHeadings) { EXPECT_EQ(Table({{"A"}, {"B"}}).Render(), "A  B\n"); }

TEST(Table, CutsAndCleansCells) {
  Table table({{"TEXT", Align::kLeft, 6}, {"N", Align::kRight}});
  table.AddRow({"a\tlong text", "1"});
  table.AddRow({"\xC3\xA9", "22"});
  table.AddRow({"short"});
  EXPECT_EQ(table.Render(),
            "TEXT     N\n"
            "a l...   1\n"
            "\xC3\xA9       22\n"
            "short\n");
}

}  // namespace
}  // namespace tessera::cli
