#include "server/filter/payload_indexes.h"

#include <algorithm>
#include <utility>

#include "index/base/status_macros.h"

namespace tessera {
namespace {

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

// The condition that a filter consists of, if it is on a field; else null.
const FieldCondition* OnlyCondition(const Filter& filter) {
  if (!filter.must_not.empty() || filter.must.size() + filter.should.size() != 1) return nullptr;
  const Condition& condition = filter.must.empty() ? filter.should[0] : filter.must[0];
  if (const auto* inner = std::get_if<Filter>(&condition.kind)) return OnlyCondition(*inner);
  return std::get_if<FieldCondition>(&condition.kind);
}

const FieldIndex* ReadyIndex(const PayloadIndexes& indexes, const FieldCondition& field) {
  const auto it = indexes.fields.find(field.key.text());
  return it == indexes.fields.end() || !it->second.ready ? nullptr : it->second.index.get();
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
  const FieldCondition* field = OnlyCondition(filter);
  const FieldIndex* index = field == nullptr ? nullptr : ReadyIndex(indexes, *field);
  if (index == nullptr) return std::nullopt;
  return index->AnswerByParts(field->test);
}

std::shared_ptr<const EntryFilter> CodesByOneIndex(const PayloadIndexes& indexes,
                                                   const Filter& filter) {
  const FieldCondition* field = OnlyCondition(filter);
  const FieldIndex* index = field == nullptr ? nullptr : ReadyIndex(indexes, *field);
  return index == nullptr ? nullptr : index->AnswerByCodes(field->test);
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
