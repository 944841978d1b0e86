#include "server/filter/payload_edit.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

constexpr char kPayload[] = R"({"z":1,"a":{"b":2,"c":[{"d":3,"e":4},5]},"n":null})";

PayloadSelection Include(const std::vector<std::string>& keys) {
  PayloadSelection selection{.enabled = true};
  for (const std::string& key : keys) selection.include.emplace_back(key);
  return selection;
}

TEST(PayloadEdit, SelectsWhatIsAskedFor) {
  EXPECT_EQ(SelectPayload(kPayload, {}), "");
  EXPECT_EQ(SelectPayload(kPayload, {.enabled = true}), kPayload);
  EXPECT_EQ(SelectPayload("", Include({"z"})), "");
  EXPECT_EQ(SelectPayload(kPayload, Include({"n", "z"})), R"({"z":1,"n":null})");
  EXPECT_EQ(SelectPayload(kPayload, Include({"a.c.d"})), R"({"a":{"c":[{"d":3}]}})");
  EXPECT_EQ(SelectPayload(kPayload, Include({"a.b", "a"})),
            R"({"a":{"b":2,"c":[{"d":3,"e":4},5]}})");
  EXPECT_EQ(SelectPayload(kPayload, Include({"missing", "z.b"})), R"({})");
  PayloadSelection most{.enabled = true};
  most.exclude = {FieldPath("a.c.e"), FieldPath("z"), FieldPath("missing.x")};
  EXPECT_EQ(SelectPayload(kPayload, most), R"({"a":{"b":2,"c":[{"d":3},5]},"n":null})");
}

TEST(PayloadEdit, MergesAndDeletesMembers) {
  EXPECT_EQ(MergePayload(kPayload, R"({"z":"x","new":[1]})"),
            R"({"z":"x","a":{"b":2,"c":[{"d":3,"e":4},5]},"n":null,"new":[1]})");
  EXPECT_EQ(MergePayload("", R"({"a":1})"), R"({"a":1})");
  EXPECT_EQ(DeleteFromPayload(kPayload, {FieldPath("a"), FieldPath("n")}), R"({"z":1})");
  EXPECT_EQ(DeleteFromPayload("", {FieldPath("a")}), "");
}

}  // namespace
}  // namespace tessera
