#include "server/fsck/collection_check.h"

#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "index/base/matrix.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"
#include "server/engine/content_hash.h"
#include "server/engine/deletions.h"
#include "server/engine/payload.h"

namespace tessera {
namespace {

uint64_t HashOf(const PointIdView& id) {
  std::string key;
  AppendIdKeyView(0, id, &key);
  return absl::HashOf(key);
}

absl::Status Wrong(const std::string& what) { return absl::DataLossError(what); }

// Codes of about so many points are compared with their vectors: those are read one by one.
constexpr uint64_t kCodesCompared = 100'000;
// How far the distance of a code from its vector may be from what its record says, as a part of
// the vector's length: far more than rounding, far less than what codes of another codebook miss.
constexpr float kErrorTolerance = 1e-3F;

double Distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum);
}

std::string PointText(const PointIdView& id, Slot slot) {
  return absl::StrCat("point ", DescribePointId(id), " in slot ", slot);
}

}  // namespace

void CollectionCheck::Run() {
  Report(CheckCounter());
  Report(ReadDeletions());
  Report(ReadLastCodebook());
  Walk(Family::kCodebooks, "codebooks", &CollectionCheck::CheckCodebook);
  if (codebook_ != nullptr) {
    codebook_ = codebook_->WithCentroids(
        moved_lists_, {moved_centroids_.data(), moved_lists_.size(), catalog_.spec.dimension});
  }
  if (catalog_.codebook_version != 0 && codebook_ == nullptr) {
    Report(Wrong(absl::StrCat("codebook ", catalog_.codebook_version,
                              ", which the catalog names, is missing or damaged")));
  }
  Report(indexes_.Read(store_, catalog_.id, sequence_));
  Walk(Family::kPoints, "points", &CollectionCheck::CheckPoint);
  Report(indexes_.Compare());
  for (const auto& [slot, place] : places_) findings_.report().points += !place.deleted;
  Walk(Family::kIds, "ids", &CollectionCheck::CheckId);
  Walk(Family::kCodes, "codes", &CollectionCheck::CheckCode);
  CheckComplete();
}

void CollectionCheck::Report(const absl::Status& status) {
  findings_.Add(absl::StrCat("collection ", catalog_.spec.name), status);
}

void CollectionCheck::Walk(Family family, const char* what, Check check) {
  const KeyRange range = CollectionRange(catalog_.id);
  auto it = store_.Scan(family, range.begin, range.end, /*bulk=*/true);
  for (; it->Valid(); it->Next()) {
    findings_.CountRecord(what);
    Report((this->*check)(it->key(), it->value()));
  }
  if (!it->status().ok()) {
    Report(Wrong(absl::StrCat("the records of ", what,
                              " cannot be read to their end: ", it->status().message())));
  }
}

absl::Status CollectionCheck::CheckCounter() {
  const std::string key = CounterKey(catalog_.id);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store_.Get(Family::kMeta, key));
  if (!value.has_value()) return Wrong("its counters are missing");
  CounterRecord counter;
  RETURN_IF_ERROR(DecodeCounter(key, *value, &counter));
  next_slot_ = counter.next_slot;
  sequence_ = counter.sequence;
  return absl::OkStatus();
}

// What a large deletion has left is not removed yet: until then it has to be there.
absl::Status CollectionCheck::ReadDeletions() {
  ASSIGN_OR_RETURN(deleted_, DeletedSlots(store_, catalog_.id, next_slot_));
  return absl::OkStatus();
}

absl::Status CollectionCheck::ReadLastCodebook() {
  const std::string key = LastCodebookKey(catalog_.id);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store_.Get(Family::kMeta, key));
  // A damaged one has been found with the records of the family meta.
  if (value.has_value() && !DecodeLastCodebook(key, *value, &last_version_).ok()) {
    last_version_ = ~uint32_t{0};
  }
  return absl::OkStatus();
}

absl::Status CollectionCheck::CheckCodebook(std::string_view key, std::string_view value) {
  if (IsCentroidKey(key)) return CheckCentroid(key, value);
  last_codebook_ = nullptr;
  CodebookKeyParts parts;
  CodebookRecordView record;
  RETURN_IF_ERROR(ParseCodebookKey(key, &parts));
  RETURN_IF_ERROR(DecodeCodebook(key, value, &record));
  const std::string name = absl::StrCat("codebook ", parts.version);
  if (parts.version > last_version_) return Wrong(absl::StrCat(name, " was never given"));
  auto codebook = Codebook::Parse(record.bytes);
  if (!codebook.ok()) return Wrong(absl::StrCat(name, ": ", codebook.status().message()));
  if (record.content_hash != ContentHash(record.bytes)) {
    return Wrong(absl::StrCat(name, " does not have the content that its hash says"));
  }
  if ((*codebook)->dimension() != catalog_.spec.dimension ||
      (*codebook)->metric() != catalog_.spec.metric) {
    return Wrong(absl::StrCat(name, " is of another dimension or metric than the collection"));
  }
  last_codebook_version_ = parts.version;
  last_codebook_ = *std::move(codebook);
  if (parts.version == catalog_.codebook_version) codebook_ = last_codebook_;
  return absl::OkStatus();
}

// Comes behind its codebook.
absl::Status CollectionCheck::CheckCentroid(std::string_view key, std::string_view value) {
  CentroidKeyParts parts;
  std::string_view centroid;
  RETURN_IF_ERROR(ParseCentroidKey(key, &parts));
  RETURN_IF_ERROR(DecodeCentroid(key, value, &centroid));
  if (last_codebook_ == nullptr || parts.version != last_codebook_version_) {
    return Wrong(absl::StrCat("the centroid of list ", parts.list, " of codebook ", parts.version,
                              ", which is missing or damaged"));
  }
  std::vector<float> floats(last_codebook_->dimension());
  bool fits =
      parts.list < last_codebook_->nlist() && centroid.size() == floats.size() * sizeof(float);
  if (fits) std::memcpy(floats.data(), centroid.data(), centroid.size());
  for (const float component : floats) fits = fits && std::isfinite(component);
  if (fits) {
    if (parts.version == catalog_.codebook_version) {
      moved_lists_.push_back(parts.list);
      moved_centroids_.insert(moved_centroids_.end(), floats.begin(), floats.end());
    }
    return absl::OkStatus();
  }
  return Wrong(
      absl::StrCat("the centroid of list ", parts.list, " does not fit codebook ", parts.version));
}

absl::Status CollectionCheck::CheckPoint(std::string_view key, std::string_view value) {
  PointKeyParts parts;
  PointRecordView record;
  RETURN_IF_ERROR(ParsePointKey(key, &parts));
  RETURN_IF_ERROR(DecodePoint(key, value, &record));
  Place& place = places_[parts.slot];
  place.id_hash = HashOf(record.id);
  place.deleted = deleted_.Contains(parts.slot);
  const std::string point = PointText(record.id, parts.slot);
  if (parts.slot >= next_slot_) {
    return Wrong(absl::StrCat(point, ": the counters say that the slot was never given"));
  }
  const CollectionSpec& spec = catalog_.spec;
  const size_t bytes = spec.dimension * ElementSize(spec.element_type);
  if (record.vector.size() != bytes) {
    return Wrong(absl::StrCat(point, ": the vector has ", record.vector.size(),
                              " bytes instead of ", bytes));
  }
  // A copy: in the record the components need not be aligned.
  std::vector<std::byte> row(bytes);
  std::memcpy(row.data(), record.vector.data(), bytes);
  std::vector<float> floats(spec.dimension);
  ToFloat(spec.element_type, row.data(), floats.size(), floats.data());
  for (const float component : floats) {
    if (!std::isfinite(component)) {
      return Wrong(absl::StrCat(point, ": a component of the vector is no number"));
    }
  }
  if (!record.payload.empty()) {
    const absl::Status payload = ValidatePayload(record.payload);
    if (!payload.ok()) return Wrong(absl::StrCat(point, ": the payload: ", payload.message()));
  }
  if (place.deleted) {
    findings_.CountLeftover();
  } else {
    indexes_.AddPoint(parts.slot, record.payload);
  }
  return absl::OkStatus();
}

absl::Status CollectionCheck::CheckId(std::string_view key, std::string_view value) {
  IdKeyParts parts;
  Slot slot = 0;
  RETURN_IF_ERROR(ParseIdKey(key, &parts));
  RETURN_IF_ERROR(DecodeSlot(key, value, &slot));
  const std::string name = absl::StrCat("id ", DescribePointId(parts.id), " leads to slot ", slot);
  const auto place = places_.find(slot);
  if (place == places_.end()) return Wrong(absl::StrCat(name, ", which has no point"));
  if (place->second.id_hash != HashOf(parts.id)) {
    return Wrong(absl::StrCat(name, ", which has the point of another id"));
  }
  place->second.named = true;
  if (place->second.deleted) findings_.CountLeftover();
  return absl::OkStatus();
}

absl::Status CollectionCheck::CheckCode(std::string_view key, std::string_view value) {
  CodeKeyParts parts;
  CodeRecordView record;
  RETURN_IF_ERROR(ParseCodeKey(key, &parts));
  RETURN_IF_ERROR(DecodeCode(key, value, &record));
  if (parts.codebook_version != catalog_.codebook_version) {
    findings_.CountLeftover();
    return absl::OkStatus();
  }
  if (codebook_ == nullptr) return absl::OkStatus();  // said already
  const std::string code = absl::StrCat("the code of ", PointText(record.id, parts.slot));
  if (parts.list >= codebook_->nlist() || record.code.size() != codebook_->code_bytes() ||
      !std::isfinite(record.bias) || !std::isfinite(record.error)) {
    return Wrong(absl::StrCat(code, " does not fit codebook ", parts.codebook_version));
  }
  const auto place = places_.find(parts.slot);
  if (place == places_.end()) return Wrong(absl::StrCat(code, " has no point"));
  if (place->second.id_hash != HashOf(record.id)) {
    return Wrong(absl::StrCat(code, " lies in the slot of another point"));
  }
  if (place->second.coded) return Wrong(absl::StrCat(code, " is there twice"));
  place->second.coded = true;
  if (place->second.deleted) {
    // It does not stand for its vector any more where the list's centroid has moved since.
    findings_.CountLeftover();
    return absl::OkStatus();
  }
  if (parts.slot % (1 + next_slot_ / kCodesCompared) != 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool stands, StandsForItsVector(parts, record));
  if (stands) return absl::OkStatus();
  return Wrong(absl::StrCat(code, " does not stand for its vector: it is of another codebook"));
}

// Whether a code is as far from the vector as it was when it was made.
absl::StatusOr<bool> CollectionCheck::StandsForItsVector(const CodeKeyParts& parts,
                                                         const CodeRecordView& code) {
  const std::string key = PointKey(catalog_.id, parts.slot);
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store_.Get(Family::kPoints, key));
  PointRecordView point;
  const CollectionSpec& spec = catalog_.spec;
  const size_t bytes = spec.dimension * ElementSize(spec.element_type);
  // What is wrong with the point itself has been found.
  if (!value.has_value() || !DecodePoint(key, *value, &point).ok()) return true;
  if (point.vector.size() != bytes) return true;
  std::vector<std::byte> row(bytes);
  std::memcpy(row.data(), point.vector.data(), bytes);
  Matrix vector(1, spec.dimension);
  ToFloat(spec.element_type, row.data(), spec.dimension, vector.data());
  Matrix prepared(1, spec.dimension);
  codebook_->Prepare(vector, prepared.data());
  std::vector<float> decoded(spec.dimension);
  RETURN_IF_ERROR(codebook_->Decode(parts.list, reinterpret_cast<const uint8_t*>(code.code.data()),
                                    decoded.data()));
  // For COSINE a code stands for the normalised vector.
  const std::span<const float> whole =
      spec.metric == Metric::kCosine ? prepared.row(0) : vector.row(0);
  const std::vector<float> zero(spec.dimension);
  const double length = Distance(whole, zero) + Distance(decoded, zero);
  // Not finite: nothing can be said of vectors as long as that.
  return !(std::abs(Distance(whole, decoded) - code.error) > kErrorTolerance * length);
}

void CollectionCheck::CheckComplete() {
  size_t deleted = 0;
  for (const auto& [slot, place] : places_) {
    deleted += place.deleted;
    if (place.deleted) continue;
    if (!place.named) Report(Wrong(absl::StrCat("no id leads to the point in slot ", slot)));
    if (codebook_ != nullptr && !place.coded) {
      Report(Wrong(absl::StrCat("the point in slot ", slot, " has no code")));
    }
  }
  if (deleted != deleted_.size()) {
    Report(Wrong(absl::StrCat("of ", deleted_.size(), " slots whose records are to be removed, ",
                              deleted_.size() - deleted, " have no point record")));
  }
}

}  // namespace tessera
