#include "server/filter/payload_edit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/thread_time.h"

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

// Numbers that no double has, other spellings, blanks, escapes, and a name that is there twice.
constexpr char kOdd[] =
    R"({"big":123456789012345678901234567890, "e" :[1e2,-0,-0.0, 1.50],"\u0061\"":{ "x":1E+2 },)"
    R"("s":"\u00e9}\\","d":{"x":1,"y":2,"x":3}})";

TEST(PayloadEdit, LeavesWhatItDoesNotChangeAsItIsWritten) {
  EXPECT_EQ(MergePayload(kOdd, R"({ "new" : 1.0 })"),
            R"({"big":123456789012345678901234567890,"e":[1e2,-0,-0.0, 1.50],)"
            R"("\u0061\"":{ "x":1E+2 },"s":"\u00e9}\\","d":{"x":1,"y":2,"x":3},"new":1.0})");
  EXPECT_EQ(SelectPayload(kOdd, Include({"e", "big"})),
            R"({"big":123456789012345678901234567890,"e":[1e2,-0,-0.0, 1.50]})");
  EXPECT_EQ(SelectPayload(kOdd, Include({"a\".x", "s"})),
            R"({"\u0061\"":{"x":1E+2},"s":"\u00e9}\\"})");
  EXPECT_EQ(DeleteFromPayload(kOdd, {FieldPath("big"), FieldPath("e.x"), FieldPath("s.x")}),
            R"({"e":[1e2,-0,-0.0,1.50],"\u0061\"":{ "x":1E+2 },"s":"\u00e9}\\",)"
            R"("d":{"x":1,"y":2,"x":3}})");
}

TEST(PayloadEdit, TakesTheLastOfMembersOfOneName) {
  EXPECT_EQ(SelectPayload(kOdd, Include({"d.x"})), R"({"d":{"x":3}})");
  EXPECT_EQ(DeleteFromPayload(R"({"x":1,"y":2,"\u0078":3})", {FieldPath("y")}), R"({"x":3})");
  EXPECT_EQ(MergePayload(R"({"x":1,"y":2})", R"({"z":0,"\u0078":4,"x":5})"),
            R"({"x":5,"y":2,"z":0})");
}

// The same by way of parsed documents.
namespace model {

using Json = nlohmann::ordered_json;

void Erase(Json& node, const std::vector<std::string>& parts, size_t depth) {
  if (node.is_array()) {
    for (Json& element : node) Erase(element, parts, depth);
  } else if (node.is_object() && node.contains(parts[depth])) {
    if (depth + 1 == parts.size()) {
      node.erase(parts[depth]);
    } else {
      Erase(node[parts[depth]], parts, depth + 1);
    }
  }
}

// Discarded: nothing is selected.
Json Select(const Json& node, const std::vector<FieldPath>& paths, const std::string& way) {
  const bool is_array = node.is_array();
  if (!is_array && !node.is_object()) return Json(Json::value_t::discarded);
  Json kept = is_array ? Json::array() : Json::object();
  for (const auto& [name, value] : node.items()) {
    const std::string here = is_array ? way : way + name;
    const bool whole =
        !is_array && std::ranges::any_of(paths, [&](const auto& p) { return p.text() == here; });
    const bool through = is_array || std::ranges::any_of(paths, [&](const auto& p) {
                           return p.text().starts_with(here + ".");
                         });
    if (!whole && !through) continue;
    Json part = whole ? value : Select(value, paths, is_array ? way : here + ".");
    if (part.is_discarded()) continue;
    if (is_array) {
      kept.push_back(std::move(part));
    } else {
      kept[name] = std::move(part);
    }
  }
  return kept;
}

Json Merge(Json payload, const Json& update) {
  for (const auto& [name, value] : update.items()) payload[name] = value;
  return payload;
}

}  // namespace model

class RandomTexts {
 public:
  std::string Object(int depth) {
    return absl::StrCat("{", List([&] { return absl::StrCat(Name(), Blank(), ":", Value(depth)); }),
                        "}");
  }
  std::vector<FieldPath> Paths() {
    std::vector<FieldPath> paths;
    for (uint64_t n = Below(4); n > 0; --n) {
      std::string text = std::string(1, Letter());
      while (Below(2) == 0) absl::StrAppend(&text, ".", std::string(1, Letter()));
      paths.emplace_back(text);
    }
    return paths;
  }

 private:
  uint64_t Below(uint64_t end) { return random_() % end; }
  char Letter() { return static_cast<char>('a' + Below(4)); }
  std::string Blank() { return Below(4) == 0 ? " \n" : ""; }
  std::string Name() {
    if (Below(8) == 0) return R"("\u0061")";
    return absl::StrCat("\"", std::string(1, Letter()), "\"");
  }
  template <class Make>
  std::string List(Make make) {
    std::string list = Blank();
    for (uint64_t n = Below(5); n > 0; --n) {
      absl::StrAppend(&list, make(), Blank(), n > 1 ? "," : "");
    }
    return list;
  }
  std::string Value(int depth) {
    const uint64_t kind = Below(depth > 0 ? 10 : 5);
    if (kind >= 8) return absl::StrCat("[", List([&] { return Value(depth - 1); }), "]");
    if (kind >= 5) return Object(depth - 1);
    constexpr const char* kPlain[] = {"1", " -7.5", "null", "true", R"("\"]},{[:\\")"};
    return kPlain[kind];
  }

  std::mt19937_64 random_{7};
};

TEST(PayloadEdit, DoesWhatParsedDocumentsShow) {
  RandomTexts texts;
  for (int i = 0; i < 20'000; ++i) {
    const std::string payload = texts.Object(4);
    const std::string update = texts.Object(1);
    const PayloadSelection selection{
        .enabled = true, .include = texts.Paths(), .exclude = texts.Paths()};
    const auto json = model::Json::parse(payload);
    auto selected = selection.include.empty() ? json : model::Select(json, selection.include, "");
    for (const FieldPath& path : selection.exclude) model::Erase(selected, path.parts(), 0);
    auto deleted = json;
    for (const FieldPath& path : selection.exclude) model::Erase(deleted, path.parts(), 0);

    const auto as_parsed = [](const std::string& text) { return model::Json::parse(text).dump(); };
    ASSERT_EQ(as_parsed(SelectPayload(payload, selection)), selected.dump()) << payload;
    ASSERT_EQ(as_parsed(DeleteFromPayload(payload, selection.exclude)), deleted.dump()) << payload;
    ASSERT_EQ(as_parsed(MergePayload(payload, update)),
              model::Merge(json, model::Json::parse(update)).dump())
        << payload << update;
  }
}

// The shortest of some times, in seconds, that it takes to select from, to merge and to delete from
// so many members.
double TimeOfMembers(int members) {
  std::string payload = "{";
  for (int i = 0; i < members; ++i) absl::StrAppend(&payload, i == 0 ? "" : ",", "\"", i, "\":1");
  payload += "}";
  double shortest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 5; ++i) {
    const double begin = ThreadSeconds();
    EXPECT_EQ(SelectPayload(payload, Include({"0"})), R"({"0":1})");
    EXPECT_EQ(MergePayload(payload, payload), payload);
    EXPECT_EQ(DeleteFromPayload(payload, {FieldPath("x")}), payload);
    shortest = std::min(shortest, ThreadSeconds() - begin);
  }
  return shortest;
}

TEST(PayloadEdit, TakesATimeThatGrowsWithTheMembers) {
  EXPECT_LT(TimeOfMembers(64'000), 24 * TimeOfMembers(8'000)) << "a square would be 64 times";
}

}  // namespace
}  // namespace tessera
