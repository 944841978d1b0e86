// Indexes against the evaluation of each payload, on random payloads, filters and changes.
#include "server/filter/payload_indexes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>

#include "server/filter/check.h"
#include "server/filter/evaluate.h"
#include "tests/server/filter/filter_test_util.h"
#include "tests/server/filter/random_filters.h"

namespace tessera {
namespace {

using Json = nlohmann::json;

// A collection of payloads and its indexes, kept up to date as the engine does.
class Model {
 public:
  Model() {
    const std::pair<const char*, PayloadIndexType> specs[] = {
        {"k", PayloadIndexType::kKeyword},   {"i", PayloadIndexType::kInteger},
        {"f", PayloadIndexType::kFloat},     {"d", PayloadIndexType::kDatetime},
        {"b", PayloadIndexType::kBool},      {"o.k", PayloadIndexType::kKeyword},
        {"one", PayloadIndexType::kInteger}, {"day", PayloadIndexType::kDatetime}};
    for (const auto& [key, type] : specs) {
      const PayloadIndexSpec spec{FieldPath(key), type};
      indexes_.fields[key] = {std::make_shared<FieldIndex>(spec, FieldColumn(type)), true, nullptr};
    }
  }

  // Replaces the payloads of some slots: null deletes.
  void Change(const std::map<Slot, std::optional<Json>>& changes) {
    for (auto& [key, field] : indexes_.fields) {
      const PayloadIndexSpec& spec = field.index->spec();
      FieldColumn removed(spec.type);
      FieldColumn added(spec.type);
      for (const auto& [slot, payload] : changes) {
        if (payloads_.contains(slot)) removed.Add(spec, payloads_[slot], slot);
        if (payload.has_value()) added.Add(spec, *payload, slot);
      }
      removed.Sort();
      added.Sort();
      field.index = field.index->With(removed, added);
    }
    for (const auto& [slot, payload] : changes) {
      payloads_.erase(slot);
      if (payload.has_value()) payloads_[slot] = *payload;
    }
  }

  // Some slots get other payloads, or none any more.
  void ChangeSome(RandomFilters& random) {
    std::map<Slot, std::optional<Json>> changes;
    for (size_t n = 1 + random.Below(60); n > 0; --n) {
      auto& change = changes[static_cast<Slot>(random.Below(300))];
      change.reset();
      if (random.Below(4) != 0) change = random.Payload();
    }
    Change(changes);
  }

  // Deletes a part of the slots all at once.
  void DeleteMany(RandomFilters& random) {
    Roaring slots;
    for (const auto& [slot, payload] : payloads_) {
      if (random.Below(3) == 0) slots.add(slot);
    }
    indexes_ = *WithoutSlots(indexes_, slots);
    std::erase_if(payloads_, [&](const auto& point) { return slots.contains(point.first); });
  }

  // Where one index alone tells, the codes of the slots that have payloads do.
  void ExpectCodesTellTheSame(const Filter& filter) const {
    if (!AnswerByOneIndex(indexes_, filter).has_value()) return;
    const std::shared_ptr<const EntryFilter> codes = CodesByOneIndex(indexes_, filter);
    ASSERT_NE(codes, nullptr);
    EXPECT_EQ(ByCodes(*codes), Truth(filter));
  }
  // The slots that have payloads and that the codes allow.
  std::vector<Slot> ByCodes(const EntryFilter& filter) const {
    std::vector<Slot> found;
    for (const auto& [slot, payload] : payloads_) {
      const bool allowed = std::all_of(filter.terms.begin(), filter.terms.end(),
                                       [slot](const EntryFilter::Term& term) {
                                         uint16_t code = 0;
                                         term.test->codes->Read({&slot, 1}, &code);
                                         return term.test->Holds(slot, code) != term.negated;
                                       });
      if (allowed) found.push_back(slot);
    }
    return found;
  }
  // By the codes of several indexes, if they have an answer.
  std::optional<std::vector<Slot>> ByTerms(const Filter& filter) const {
    const std::optional<TermsAnswer> answer = AnswerByTerms(indexes_, filter, payloads_.size());
    if (!answer.has_value()) return std::nullopt;
    EXPECT_NE(answer->codes, nullptr);
    EXPECT_FALSE(answer->codes->terms[0].negated);
    const std::vector<Slot> first = Sorted(answer->first);
    EXPECT_EQ(first, ByCodes(EntryFilter{{answer->codes->terms[0]}}));
    EXPECT_EQ(AnswerByTerms(indexes_, filter, first.size() - 1).has_value(), first.empty());
    const std::vector<Slot> all = ByCodes(*answer->codes);
    std::vector<Slot> of_first;
    const std::vector<Slot> by_others = ByCodes(EntryFilter{answer->others});
    std::set_intersection(first.begin(), first.end(), by_others.begin(), by_others.end(),
                          std::back_inserter(of_first));
    EXPECT_EQ(of_first, all);
    return all;
  }

  // By evaluating every payload.
  std::vector<Slot> Truth(const Filter& filter) const {
    std::vector<Slot> slots;
    for (const auto& [slot, payload] : payloads_) {
      if (Matches(filter, uint64_t{slot}, payload)) slots.push_back(slot);
    }
    return slots;
  }
  // By the indexes, and by the payloads of what they leave open.
  std::vector<Slot> ByIndex(const Filter& filter, bool* decided) const {
    Roaring universe;
    for (const auto& [slot, payload] : payloads_) universe.add(slot);
    const auto slots_of = [&](const std::vector<FilterId>& ids) -> absl::StatusOr<Roaring> {
      Roaring slots;
      for (const FilterId& id : ids) {
        const Slot slot = static_cast<Slot>(std::get<uint64_t>(id));
        if (payloads_.contains(slot)) slots.add(slot);
      }
      return slots;
    };
    const auto answer = AnswerByIndexes(indexes_, filter, universe, slots_of);
    *decided = answer->slots.decided();
    EXPECT_TRUE((answer->slots.certain & answer->slots.open).isEmpty());
    EXPECT_EQ(*decided, answer->unindexed.empty() || answer->slots.open.isEmpty());
    Roaring matching = answer->slots.certain;
    for (Slot slot : answer->slots.open) {
      if (Matches(filter, uint64_t{slot}, payloads_.at(slot))) matching.add(slot);
    }
    return {matching.begin(), matching.end()};
  }

  // By the parts of one index, if it has an answer.
  std::optional<std::vector<Slot>> ByParts(const Filter& filter) const {
    ExpectCodesTellTheSame(filter);
    const std::optional<SlotParts> parts = AnswerByOneIndex(indexes_, filter);
    if (!parts.has_value()) return std::nullopt;
    return Sorted(*parts);
  }

 private:
  static std::vector<Slot> Sorted(const SlotParts& parts) {
    std::vector<Slot> slots;
    parts.List(&slots);
    EXPECT_EQ(slots.size(), parts.size());
    std::sort(slots.begin(), slots.end());
    return slots;
  }

  std::map<Slot, Json> payloads_;
  PayloadIndexes indexes_;
};

TEST(PayloadIndexes, AgreeWithTheEvaluationOfEachPayload) {
  RandomFilters random(1);
  Model model;
  size_t decided_by_index = 0;
  size_t matched_some = 0;
  for (int round = 0; round < 40; ++round) {
    model.ChangeSome(random);
    if (round % 5 == 4) model.DeleteMany(random);
    for (int i = 0; i < 50; ++i) {
      Filter filter = random.MakeFilter(2);
      ASSERT_FALSE(CheckFilter(&filter).has_value());
      bool decided = false;
      const auto truth = model.Truth(filter);
      ASSERT_EQ(model.ByIndex(filter, &decided), truth) << "round " << round << " filter " << i;
      decided_by_index += decided;
      matched_some += !truth.empty();
    }
  }
  EXPECT_GT(decided_by_index, 200u);
  EXPECT_GT(matched_some, 500u);
}

// Integers between doubles, whatever index their field has.
TEST(PayloadIndexes, CompareLargeIntegersExactly) {
  constexpr int64_t kMiddle = int64_t{1} << 53;
  constexpr const char* kKeys[] = {"k", "i", "f", "d", "b", "one", "free"};
  Model model;
  std::map<Slot, std::optional<Json>> changes;
  for (Slot slot = 0; slot < 12; ++slot) {
    const int64_t value = (slot % 2 == 0 ? 1 : -1) * (kMiddle - 2 + int64_t{slot} / 2);
    changes[slot].emplace();
    for (const char* key : kKeys) (*changes[slot])[key] = value;
  }
  model.Change(changes);
  for (int64_t bound = kMiddle - 3; bound < kMiddle + 5; ++bound) {
    for (const Number signed_bound : {static_cast<Number>(bound), -static_cast<Number>(bound)}) {
      for (const auto& bounds :
           {Bounds<Number>{.lt = signed_bound}, Bounds<Number>{.lte = signed_bound},
            Bounds<Number>{.gt = signed_bound}, Bounds<Number>{.gte = signed_bound}}) {
        for (const char* key : kKeys) {
          const Filter filter = Must(Where(key, NumberRange{bounds}));
          bool decided = false;
          ASSERT_EQ(model.ByIndex(filter, &decided), model.Truth(filter)) << key << " " << bound;
          EXPECT_EQ(decided, key == std::string("i") || key == std::string("one"));
          const auto parts = model.ByParts(filter);
          if (parts.has_value()) {
            EXPECT_EQ(*parts, model.Truth(filter)) << key << " " << bound;
          }
        }
      }
    }
  }
}

TEST(PayloadIndexes, PartsOfOneIndexHoldEachMatchOnce) {
  RandomFilters random(2);
  Model model;
  size_t by_parts = 0;
  size_t matched_some = 0;
  for (int round = 0; round < 40; ++round) {
    model.ChangeSome(random);
    for (int i = 0; i < 50; ++i) {
      Filter filter = random.OnOneField();
      ASSERT_FALSE(CheckFilter(&filter).has_value());
      const std::optional<std::vector<Slot>> slots = model.ByParts(filter);
      if (!slots.has_value()) continue;
      ASSERT_EQ(*slots, model.Truth(filter)) << "round " << round << " filter " << i;
      ++by_parts;
      matched_some += !slots->empty();
    }
  }
  EXPECT_GT(by_parts, 200u);
  EXPECT_GT(matched_some, 100u);
}

TEST(PayloadIndexes, CodesOfSeveralIndexesTellWhatMeetsAllConditions) {
  RandomFilters random(3);
  Model model;
  size_t told = 0, matched_some = 0, negated = 0;
  for (int round = 0; round < 120; ++round) {
    model.ChangeSome(random);
    for (int i = 0; i < 100; ++i) {
      Filter filter;
      for (size_t n = 2 + random.Below(2); n > 0; --n) {
        Filter one = random.OnOneField();
        const bool must_not = random.Below(3) == 0;
        negated += must_not;
        auto& conditions = must_not ? filter.must_not : filter.must;
        if (random.Below(2) == 0) {
          conditions.push_back({one});
        } else {
          conditions.insert(conditions.end(), one.must.begin(), one.must.end());
          conditions.insert(conditions.end(), one.should.begin(), one.should.end());
        }
      }
      ASSERT_FALSE(CheckFilter(&filter).has_value());
      const std::optional<std::vector<Slot>> slots = model.ByTerms(filter);
      if (!slots.has_value()) continue;
      ASSERT_EQ(*slots, model.Truth(filter)) << "round " << round << " filter " << i;
      ++told;
      matched_some += !slots->empty();
    }
  }
  EXPECT_GT(told, 100u);
  EXPECT_GT(matched_some, 50u);
  EXPECT_GT(negated, 500u);
}

// More values than there can be bounds, so that ranges end between two; and then many more of them
// at one end, so that codes are made anew.
TEST(PayloadIndexes, CodesTellRangesOfManyValues) {
  const PayloadIndexSpec spec{FieldPath("n"), PayloadIndexType::kInteger};
  std::vector<int64_t> values;
  const auto column = [&](size_t count, int64_t step) {
    FieldColumn added(spec.type);
    for (size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<Slot>(values.size());
      values.push_back(values.empty() ? 0 : values.back() + step);
      added.Add(spec, Json{{"n", values.back()}}, slot);
    }
    added.Sort();
    return added;
  };
  PayloadIndexes indexes;
  auto index = std::make_shared<const FieldIndex>(spec, column(100'000, 3));
  for (int turn = 0; turn < 4; ++turn) {
    indexes.fields["n"] = {index, true, nullptr};
    std::mt19937_64 random(static_cast<uint64_t>(turn));
    for (int i = 0; i < 20; ++i) {
      const auto last = static_cast<uint64_t>(values.back());
      const auto begin = static_cast<double>(random() % last);
      const double end = begin + static_cast<double>(random() % (i % 2 == 0 ? 20 : last));
      const Filter filter = Must(Where("n", NumberRange{{.lt = end, .gte = begin}}));
      const auto codes = CodesByOneIndex(indexes, filter);
      if (codes == nullptr) continue;  // too many lie between two bounds
      for (Slot slot = 0; slot < values.size(); ++slot) {
        uint16_t code = 0;
        const EntryTest& test = *codes->terms[0].test;
        test.codes->Read({&slot, 1}, &code);
        const auto value = static_cast<double>(values[slot]);
        ASSERT_EQ(test.Holds(slot, code), begin <= value && value < end)
            << value << " from " << begin << " to " << end;
      }
    }
    index = index->With(FieldColumn(spec.type), column(9'000, 1));
  }
}

}  // namespace
}  // namespace tessera
