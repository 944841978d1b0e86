// What an index holds as bytes, and back: as it was, without some slots, cut and changed.
#include "server/filter/field_contents.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/escaping.h"
#include "tests/server/filter/random_filters.h"

namespace tessera {
namespace {

constexpr uint64_t kEnd = 1 << 20;

std::vector<std::string> PartsOf(const FieldIndex& index) {
  std::vector<std::string> parts;
  const absl::Status status = WriteFieldContents(index, [&](std::string_view part) {
    parts.emplace_back(part);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return parts;
}

// Null if they are refused.
std::shared_ptr<const FieldIndex> Read(const PayloadIndexSpec& spec,
                                       const std::vector<std::string>& parts,
                                       const Roaring& without = {}) {
  FieldContentsReader reader(spec, kEnd, without);
  for (const std::string& part : parts) {
    if (!reader.Add(part)) return nullptr;
  }
  return reader.Finish();
}

void ExpectSame(const FieldColumn& a, const FieldColumn& b) {
  EXPECT_EQ(a.entries, b.entries);
  EXPECT_EQ(a.covered, b.covered);
  EXPECT_EQ(a.exists, b.exists);
  EXPECT_EQ(a.valued, b.valued);
  EXPECT_EQ(a.nulls, b.nulls);
  EXPECT_EQ(a.others, b.others);
}

FieldIndex IndexOf(const PayloadIndexSpec& spec, const std::vector<nlohmann::json>& payloads) {
  FieldColumn column(spec.type);
  for (Slot slot = 0; slot < payloads.size(); ++slot) column.Add(spec, payloads[slot], slot);
  column.Sort();
  return FieldIndex(spec, column);
}

std::string Hex(const std::vector<std::string>& parts) {
  std::string hex;
  for (const std::string& part : parts) {
    if (!hex.empty()) hex.push_back(' ');
    hex.append(absl::BytesToHexString(part));
  }
  return hex;
}

TEST(FieldContents, GoldenBytes) {
  const auto of = [](PayloadIndexType type, const char* payloads) {
    return Hex(PartsOf(IndexOf({FieldPath("a"), type}, nlohmann::json::parse(payloads))));
  };
  EXPECT_EQ(of(PayloadIndexType::kKeyword, R"([{"a":"x"},{"a":["yz","x"]},{"a":null},{}])"),
            "0100000000 02000000 030000 0404 060178020000"
            "02797a0102");
  EXPECT_EQ(of(PayloadIndexType::kInteger, R"([{},{"a":-2},{"a":1.5}])"),
            "01000000 020200 030200 0504 06feffffffffffffff0102");
  EXPECT_EQ(of(PayloadIndexType::kFloat, R"([{"a":1.5}])"),
            "0100 0200 0300 06000000000000f83f0100");
  EXPECT_EQ(of(PayloadIndexType::kBool, "[]"), "");
}

TEST(FieldContents, ComeBackOnRandomPayloads) {
  RandomFilters random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<nlohmann::json> payloads;
    for (size_t n = random.Below(400); n > 0; --n) payloads.push_back(random.Payload());
    const char* keys[] = {"k", "i", "f", "d", "b", "o.k", "one", "day"};
    const PayloadIndexSpec spec{FieldPath(keys[random.Below(8)]),
                                static_cast<PayloadIndexType>(1 + random.Below(5))};
    const FieldIndex index = IndexOf(spec, payloads);
    const std::vector<std::string> parts = PartsOf(index);
    const auto read = Read(spec, parts);
    ASSERT_NE(read, nullptr);
    ExpectSame(read->Column(), index.Column());
    EXPECT_EQ(PartsOf(*read), parts);

    Roaring without;
    for (Slot slot = 0; slot < payloads.size(); ++slot) {
      if (random.Below(3) == 0) without.add(slot);
    }
    FieldColumn rest = index.Column();
    rest.Remove(without);
    const auto read_without = Read(spec, parts, without);
    ASSERT_NE(read_without, nullptr);
    ExpectSame(read_without->Column(), rest);
    // Both know as well whether a point has two values.
    const FieldTest test = NumberRange{{.gte = Number{-1e9}}};
    EXPECT_EQ(read_without->AnswerByParts(test).has_value(),
              FieldIndex(spec, rest).AnswerByParts(test).has_value());
  }
}

// Values with more slots than a part holds, more values than a part holds, and values that are
// longer than a part.
TEST(FieldContents, ComeBackInManyParts) {
  constexpr Slot kSlots = 400'000;
  std::mt19937 random(5);
  FieldColumn column(PayloadIndexType::kKeyword);
  auto& entries = std::get<FieldEntries<std::string>>(column.entries);
  const std::string long_value(100'000, 'x');
  for (Slot slot = 0; slot < kSlots; ++slot) {
    column.covered.push_back(slot);
    column.exists.push_back(slot);
    column.valued.push_back(slot);
    entries.emplace_back(random() % 2 == 0 ? "even" : "odd", slot);
    if (slot % 4 == 0) entries.emplace_back(std::to_string(random()), slot);
    if (slot % 100'000 == 0) entries.emplace_back(long_value + std::to_string(slot), slot);
  }
  column.Sort();
  const PayloadIndexSpec spec{FieldPath("a"), PayloadIndexType::kKeyword};
  const FieldIndex index(spec, column);
  const std::vector<std::string> parts = PartsOf(index);
  EXPECT_GT(parts.size(), 20u);
  for (const std::string& part : parts) EXPECT_LT(part.size(), 300'000u);
  const auto read = Read(spec, parts);
  ASSERT_NE(read, nullptr);
  ExpectSame(read->Column(), index.Column());
  // A part that is missing, or comes twice, is seen where a value goes on from part to part; else
  // the count of the parts and their keys tell.
  std::vector<std::string> twice = parts;
  twice.insert(twice.begin() + 10, twice[10]);
  EXPECT_EQ(Read(spec, twice), nullptr);
  std::vector<std::string> swapped = parts;
  std::swap(swapped[10], swapped[11]);
  EXPECT_EQ(Read(spec, swapped), nullptr);
}

TEST(FieldContents, EndsWithTheFirstWriteThatFails) {
  const FieldIndex index = IndexOf({FieldPath("a"), PayloadIndexType::kInteger},
                                   nlohmann::json::parse(R"([{"a":1},{"a":2}])"));
  int calls = 0;
  EXPECT_EQ(WriteFieldContents(index,
                               [&](std::string_view) {
                                 return ++calls == 2 ? absl::CancelledError("enough")
                                                     : absl::OkStatus();
                               }),
            absl::CancelledError("enough"));
  EXPECT_EQ(calls, 2);
}

// Every truncation and every changed byte of every part is refused, or gives an index that is whole
// in itself: checksums around the parts tell the rest.
TEST(FieldContents, SurvivesTruncationsAndChanges) {
  RandomFilters random(4);
  std::vector<nlohmann::json> payloads;
  for (int i = 0; i < 60; ++i) payloads.push_back(random.Payload());
  for (int type = 1; type <= 5; ++type) {
    const PayloadIndexSpec spec{FieldPath("k"), static_cast<PayloadIndexType>(type)};
    const std::vector<std::string> parts = PartsOf(IndexOf(spec, payloads));
    const auto check = [&](const std::vector<std::string>& changed) {
      const auto read = Read(spec, changed);
      if (read == nullptr) return;
      const auto again = Read(spec, PartsOf(*read));
      ASSERT_NE(again, nullptr);
      ExpectSame(again->Column(), read->Column());
    };
    size_t refused = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      std::vector<std::string> changed = parts;
      for (size_t size = 0; size < parts[i].size(); ++size) {
        changed[i] = parts[i].substr(0, size);
        check(changed);
        refused += Read(spec, changed) == nullptr;
      }
      for (size_t at = 0; at < parts[i].size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
          changed[i] = parts[i];
          changed[i][at] = static_cast<char>(changed[i][at] ^ (1 << bit));
          check(changed);
        }
      }
    }
    EXPECT_GT(refused, 0u);
  }
}

TEST(FieldContents, RefusesWhatDoesNotFit) {
  const PayloadIndexSpec spec{FieldPath("a"), PayloadIndexType::kFloat};
  using namespace std::string_literals;
  EXPECT_NE(Read(spec, {}), nullptr) << "an index of nothing";
  EXPECT_EQ(Read(spec, {""}), nullptr);
  EXPECT_EQ(Read(spec, {"\x00\x00"s}), nullptr) << "section 0";
  EXPECT_EQ(Read(spec, {"\x07\x00"s}), nullptr) << "section 7";
  EXPECT_EQ(Read(spec, {"\x01"s}), nullptr) << "an empty section";
  EXPECT_EQ(Read(spec, {"\x01\x00"s, "\x02\x02"s}), nullptr) << "a value in a slot without a point";
  EXPECT_EQ(Read(spec, {"\x02\x00"s, "\x01\x00"s}), nullptr) << "sections out of order";
  const std::string head = "\x06\x00\x00\x00\x00\x00\x00"s;
  EXPECT_NE(Read(spec, {head + "\xf8\x3f\x01\x00"s}), nullptr);
  EXPECT_EQ(Read(spec, {head + "\xf8\x7f\x01\x00"s}), nullptr) << "not a number";
  EXPECT_EQ(Read(spec, {head + "\xf8\x3f\x00"s}), nullptr) << "a value without slots";
  EXPECT_EQ(Read(spec, {head + "\xf8\x3f\x02\x00"s}), nullptr) << "slots beyond the part";
}

}  // namespace
}  // namespace tessera
