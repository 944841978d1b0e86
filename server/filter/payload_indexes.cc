#include "server/filter/payload_indexes.h"

#include <algorithm>
#include <utility>

#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera {
namespace {

// A filter of more terms is rare, and its codes would not all be kept beside the lists.
constexpr size_t kTermsToldByCodes = limits::kListCodesMax;

class Answerer {
 public:
  Answerer(const PayloadIndexes& indexes, const Roaring& universe, const SlotsOfIds& slots_of,
           std::vector<std::string>* unindexed)
      : indexes_(indexes), universe_(universe), slots_of_(slots_of), unindexed_(unindexed) {}

  absl::StatusOr<SlotAnswer> Answer(const Filter& filter) {
    SlotAnswer all;
    bool narrowed = false;
    const auto narrow = [&](SlotAnswer answer) {
      if (narrowed) {
        all.And(answer);
      } else {
        all = std::move(answer);
      }
      narrowed = true;
    };
    for (const Condition& condition : filter.must) {
      ASSIGN_OR_RETURN(SlotAnswer answer, Answer(condition));
      narrow(std::move(answer));
    }
    if (!filter.should.empty()) {
      SlotAnswer any;
      for (const Condition& condition : filter.should) {
        ASSIGN_OR_RETURN(const SlotAnswer answer, Answer(condition));
        any.Or(answer);
      }
      narrow(std::move(any));
    }
    for (const Condition& condition : filter.must_not) {
      ASSIGN_OR_RETURN(SlotAnswer answer, Answer(condition));
      answer.Negate(universe_);
      narrow(std::move(answer));
    }
    if (!narrowed) all.certain = universe_;
    return all;
  }

 private:
  absl::StatusOr<SlotAnswer> Answer(const Condition& condition) {
    if (const auto* filter = std::get_if<Filter>(&condition.kind)) return Answer(*filter);
    if (const auto* has_id = std::get_if<HasId>(&condition.kind)) {
      SlotAnswer answer;
      ASSIGN_OR_RETURN(answer.certain, slots_of_(has_id->ids));
      return answer;
    }
    const FieldCondition& field = std::get<FieldCondition>(condition.kind);
    const auto it = indexes_.fields.find(field.key.text());
    const bool indexed = it != indexes_.fields.end() && it->second.ready;
    SlotAnswer answer =
        indexed ? it->second.index->Answer(field.test) : SlotAnswer{.open = universe_};
    if (!answer.decided() &&
        std::find(unindexed_->begin(), unindexed_->end(), field.key.text()) == unindexed_->end()) {
      unindexed_->push_back(field.key.text());
    }
    return answer;
  }

  const PayloadIndexes& indexes_;
  const Roaring& universe_;
  const SlotsOfIds& slots_of_;
  std::vector<std::string>* unindexed_;
};

const FieldIndex* ReadyIndex(const PayloadIndexes& indexes, const FieldCondition& field) {
  const auto it = indexes.fields.find(field.key.text());
  return it == indexes.fields.end() || !it->second.ready ? nullptr : it->second.index.get();
}

// A condition that must be met, or must not, on a field that has an index.
struct IndexedTerm {
  const FieldIndex* index;
  const FieldTest* test;
  bool negated;
};

// Appends the terms of a filter that is met where all of them are; false if it is not of this kind.
bool AddTerms(const PayloadIndexes& indexes, const Filter& filter, bool negated,
              std::vector<IndexedTerm>* terms) {
  const auto add = [&](const Condition& condition, bool negated_too) {
    const bool negative = negated != negated_too;
    if (const auto* inner = std::get_if<Filter>(&condition.kind)) {
      return AddTerms(indexes, *inner, negative, terms);
    }
    const auto* field = std::get_if<FieldCondition>(&condition.kind);
    const FieldIndex* index = field == nullptr ? nullptr : ReadyIndex(indexes, *field);
    if (index == nullptr) return false;
    terms->push_back({index, &field->test, negative});
    return true;
  };
  const size_t conditions = filter.must.size() + filter.should.size() + filter.must_not.size();
  if (filter.should.size() > 1 || (negated && conditions != 1)) return false;
  const auto add_all = [&](const std::vector<Condition>& some, bool negated_too) {
    return std::all_of(some.begin(), some.end(),
                       [&](const Condition& c) { return add(c, negated_too); });
  };
  return add_all(filter.must, false) && add_all(filter.should, false) &&
         add_all(filter.must_not, true);
}

// The condition that a filter consists of, if an index tells it; else nothing.
std::optional<IndexedTerm> OnlyTerm(const PayloadIndexes& indexes, const Filter& filter) {
  std::vector<IndexedTerm> terms;
  if (!AddTerms(indexes, filter, false, &terms) || terms.size() != 1 || terms[0].negated) {
    return std::nullopt;
  }
  return terms[0];
}

}  // namespace

size_t PayloadIndexes::memory_bytes() const {
  size_t bytes = 0;
  for (const auto& [key, field] : fields) bytes += field.index->memory_bytes();
  return bytes;
}

absl::StatusOr<IndexedAnswer> AnswerByIndexes(const PayloadIndexes& indexes, const Filter& filter,
                                              const Roaring& universe, const SlotsOfIds& slots_of) {
  IndexedAnswer answer;
  ASSIGN_OR_RETURN(answer.slots,
                   Answerer(indexes, universe, slots_of, &answer.unindexed).Answer(filter));
  return answer;
}

std::optional<SlotParts> AnswerByOneIndex(const PayloadIndexes& indexes, const Filter& filter) {
  const std::optional<IndexedTerm> term = OnlyTerm(indexes, filter);
  return term.has_value() ? term->index->AnswerByParts(*term->test) : std::nullopt;
}

std::shared_ptr<const EntryFilter> CodesByOneIndex(const PayloadIndexes& indexes,
                                                   const Filter& filter) {
  const std::optional<IndexedTerm> term = OnlyTerm(indexes, filter);
  std::shared_ptr<const EntryTest> test =
      term.has_value() ? term->index->AnswerByCodes(*term->test) : nullptr;
  if (test == nullptr) return nullptr;
  return std::make_shared<EntryFilter>(EntryFilter{{{std::move(test), false}}});
}

std::optional<TermsAnswer> AnswerByTerms(const PayloadIndexes& indexes, const Filter& filter,
                                         uint64_t first_max) {
  std::vector<IndexedTerm> terms;
  if (!AddTerms(indexes, filter, false, &terms) || terms.size() < 2 ||
      terms.size() > kTermsToldByCodes) {
    return std::nullopt;
  }
  TermsAnswer answer;
  size_t first = terms.size();
  for (size_t i = 0; i < terms.size(); ++i) {
    std::optional<SlotParts> slots = terms[i].index->AnswerByParts(*terms[i].test);
    if (!slots.has_value()) return std::nullopt;
    if (terms[i].negated) continue;
    if (first == terms.size() || slots->size() < answer.first.size()) {
      first = i;
      answer.first = std::move(*slots);
    }
  }
  if (first == terms.size() || answer.first.size() > first_max) return std::nullopt;
  EntryFilter all{{{terms[first].index->AnswerByCodes(*terms[first].test), false}}};
  for (size_t i = 0; i < terms.size(); ++i) {
    if (i == first) continue;
    all.terms.push_back({terms[i].index->AnswerByCodes(*terms[i].test), terms[i].negated});
    if (all.terms.back().test == nullptr) return std::nullopt;
  }
  answer.others.assign(all.terms.begin() + 1, all.terms.end());
  if (all.terms[0].test != nullptr) {
    answer.codes = std::make_shared<EntryFilter>(std::move(all));
  }
  return answer;
}

std::shared_ptr<const PayloadIndexes> WithoutSlots(const PayloadIndexes& indexes,
                                                   const Roaring& slots) {
  auto changed = std::make_shared<PayloadIndexes>(indexes);
  for (auto& [key, field] : changed->fields) {
    field.index = field.index->Without(slots);
    if (!field.ready) field.removed = std::make_shared<const Roaring>(*field.removed | slots);
  }
  return changed;
}

std::shared_ptr<const PayloadIndexes> WithBuilding(const PayloadIndexes& indexes,
                                                   const PayloadIndexSpec& spec) {
  auto changed = std::make_shared<PayloadIndexes>(indexes);
  IndexedField& field = changed->fields[spec.key.text()];
  field.index = std::make_shared<FieldIndex>(spec, FieldColumn(spec.type));
  field.ready = false;
  field.removed = std::make_shared<const Roaring>();
  field.added_generation = ++changed->generation;
  return changed;
}

std::shared_ptr<const PayloadIndexes> WithBuilt(const PayloadIndexes& indexes,
                                                const std::string& key, FieldColumn column) {
  auto changed = std::make_shared<PayloadIndexes>(indexes);
  IndexedField& field = changed->fields.at(key);
  column.Remove(*field.removed);
  const FieldColumn since = field.index->Column();
  field.index = std::make_shared<FieldIndex>(field.index->spec(), column);
  if (!since.covered.empty()) {
    field.index = field.index->With(FieldColumn(field.index->spec().type), since);
  }
  field.removed = nullptr;
  field.ready = true;
  return changed;
}

std::shared_ptr<const PayloadIndexes> WithReady(const PayloadIndexes& indexes,
                                                std::shared_ptr<const FieldIndex> index) {
  auto changed = std::make_shared<PayloadIndexes>(indexes);
  IndexedField& field = changed->fields.at(index->spec().key.text());
  field.index = std::move(index);
  field.removed = nullptr;
  field.ready = true;
  return changed;
}

std::shared_ptr<const PayloadIndexes> WithoutField(const PayloadIndexes& indexes,
                                                   const std::string& key) {
  auto changed = std::make_shared<PayloadIndexes>(indexes);
  changed->fields.erase(key);
  ++changed->generation;
  return changed;
}

}  // namespace tessera
