// What the Codebooks service asks of a collection, but for training.
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/content_hash.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

// As the API names it.
const char* NameOf(Metric metric) {
  switch (metric) {
    case Metric::kL2:
      return "L2";
    case Metric::kInnerProduct:
      return "INNER_PRODUCT";
    case Metric::kCosine:
      return "COSINE";
  }
  return "unknown";
}

absl::Status DamagedCentroid(const CentroidKeyParts& key) {
  return ErrorWithReason(absl::StatusCode::kDataLoss, "RECORD_DAMAGED",
                         absl::StrCat("the centroid of list ", key.list, " does not fit codebook ",
                                      key.version, " of collection ", key.collection_id));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Codebook>> Collection::ParseCodebook(
    const std::string& bytes) const {
  ASSIGN_OR_RETURN(std::shared_ptr<const Codebook> codebook, Codebook::Parse(bytes));
  if (codebook->dimension() != spec_.dimension || codebook->metric() != spec_.metric) {
    return ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, "CODEBOOK_MISMATCH",
        absl::StrCat("the codebook has dimension ", codebook->dimension(), " and metric ",
                     NameOf(codebook->metric()), "; collection ", spec_.name, " has dimension ",
                     spec_.dimension, " and metric ", NameOf(spec_.metric)));
  }
  return codebook;
}

absl::Status Collection::NotTrained() const {
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "CODEBOOK_NOT_TRAINED",
                         absl::StrCat("collection ", spec_.name, " is not trained"));
}

absl::Status Collection::FindCodebook(uint32_t version) const {
  ASSIGN_OR_RETURN(const std::optional<std::string> value,
                   store_.Get(Family::kCodebooks, CodebookKey(id_, version)));
  if (value.has_value()) return absl::OkStatus();
  return NotFound("codebook", absl::StrCat(spec_.name, "/", version));
}

absl::StatusOr<Collection::StoredCodebook> Collection::ReadCodebook(uint32_t version) const {
  // An iterator sees one moment: the codebook, and the centroids that had moved by then.
  const KeyRange range = CodebookRange(id_, version);
  auto it = store_.Scan(Family::kCodebooks, range.begin, range.end, /*bulk=*/false);
  RETURN_IF_ERROR(it->status());
  if (!it->Valid() || IsCentroidKey(it->key())) {
    return NotFound("codebook", absl::StrCat(spec_.name, "/", version));
  }
  CodebookRecordView record;
  RETURN_IF_ERROR(DecodeCodebook(it->key(), it->value(), &record));
  StoredCodebook stored;
  stored.create_time_ms = record.create_time_ms;
  stored.content_hash = std::string(record.content_hash);
  stored.bytes = std::string(record.bytes);
  ASSIGN_OR_RETURN(stored.codebook, ParseCodebook(stored.bytes));
  it->Next();
  if (it->Valid()) {
    RETURN_IF_ERROR(MoveCentroids(*it, &stored.codebook));
    stored.bytes = stored.codebook->Serialize();
    stored.content_hash = ContentHash(stored.bytes);
  }
  RETURN_IF_ERROR(it->status());
  return stored;
}

// Applies the records of centroids that follow in `it`.
absl::Status Collection::MoveCentroids(StoreIterator& it,
                                       std::shared_ptr<const Codebook>* codebook) const {
  std::vector<uint32_t> lists;
  std::vector<float> centroids;
  for (; it.Valid(); it.Next()) {
    CentroidKeyParts key;
    std::string_view centroid;
    RETURN_IF_ERROR(ParseCentroidKey(it.key(), &key));
    RETURN_IF_ERROR(DecodeCentroid(it.key(), it.value(), &centroid));
    if (key.list >= (*codebook)->nlist() || centroid.size() != spec_.dimension * sizeof(float)) {
      return DamagedCentroid(key);
    }
    lists.push_back(key.list);
    centroids.resize(centroids.size() + spec_.dimension);
    float* row = &centroids[centroids.size() - spec_.dimension];
    std::memcpy(row, centroid.data(), centroid.size());
    for (size_t t = 0; t < spec_.dimension; ++t) {
      if (!std::isfinite(row[t])) return DamagedCentroid(key);
    }
  }
  *codebook = (*codebook)->WithCentroids(lists, {centroids.data(), lists.size(), spec_.dimension});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<CodebookInfo>> Collection::ListCodebooks() const {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> versions, CodebookVersions());
  std::vector<CodebookInfo> infos;
  for (const uint32_t version : versions) {
    auto info = GetCodebook(version);
    if (absl::IsNotFound(info.status())) continue;  // deleted meanwhile
    RETURN_IF_ERROR(info.status());
    infos.push_back(*std::move(info));
  }
  return infos;
}

absl::StatusOr<CodebookInfo> Collection::GetCodebook(uint32_t version) const {
  const uint32_t current = view()->codebook_version;
  if (version == 0) version = current;
  if (version == 0) return NotTrained();
  ASSIGN_OR_RETURN(StoredCodebook stored, ReadCodebook(version));
  const Codebook& codebook = *stored.codebook;
  CodebookInfo info;
  info.collection = spec_.name;
  info.version = version;
  info.current = version == current;
  info.dimension = codebook.dimension();
  info.metric = codebook.metric();
  info.nlist = codebook.nlist();
  info.subquantizers = codebook.subquantizers();
  info.nbits = codebook.nbits();
  info.code_bytes = static_cast<uint32_t>(codebook.code_bytes());
  info.content_hash = std::move(stored.content_hash);
  info.size_bytes = stored.bytes.size();
  info.training_vectors = codebook.training_vectors();
  info.mean_squared_error = codebook.mean_squared_error();
  info.create_time_ms = stored.create_time_ms;
  return info;
}

absl::StatusOr<std::string> Collection::ExportCodebook(uint32_t version) const {
  if (version == 0) version = view()->codebook_version;
  if (version == 0) return NotTrained();
  ASSIGN_OR_RETURN(StoredCodebook stored, ReadCodebook(version));
  return std::move(stored.bytes);
}

absl::StatusOr<CodeRows> Collection::Encode(VectorsView vectors) const {
  const auto now = view();
  if (now->codebook == nullptr) return NotTrained();
  if (vectors.rows > limits::kEncodeVectorsMax) {
    return InvalidField("vectors", absl::StrCat("has ", vectors.rows, " vectors; at most ",
                                                limits::kEncodeVectorsMax, " are allowed"));
  }
  Matrix floats;
  RETURN_IF_ERROR(WidenVectors(vectors, "vectors", &floats));
  EncodedVectors encoded;
  now->codebook->Encode(floats, executor_, &encoded);
  CodeRows rows;
  rows.codebook_version = now->codebook_version;
  rows.lists = std::move(encoded.lists);
  rows.codes.assign(reinterpret_cast<const char*>(encoded.codes.data()), encoded.codes.size());
  rows.errors = std::move(encoded.errors);
  return rows;
}

absl::StatusOr<std::vector<float>> Collection::Decode(const CodeRows& codes) const {
  const auto now = view();
  std::shared_ptr<const Codebook> codebook = now->codebook;
  if (codebook == nullptr ||
      (codes.codebook_version != 0 && codes.codebook_version != now->codebook_version)) {
    if (codes.codebook_version == 0) return NotTrained();
    ASSIGN_OR_RETURN(StoredCodebook stored, ReadCodebook(codes.codebook_version));
    codebook = std::move(stored.codebook);
  }
  const size_t n = codes.lists.size();
  if (n == 0) return InvalidField("codes.lists", "is empty");
  if (n > limits::kEncodeVectorsMax) {
    return InvalidField("codes.lists", absl::StrCat("has ", n, " rows; at most ",
                                                    limits::kEncodeVectorsMax, " are allowed"));
  }
  const size_t code_bytes = codebook->code_bytes();
  if (codes.codes.size() != n * code_bytes) {
    return InvalidField("codes.codes", absl::StrCat("has ", codes.codes.size(), " bytes for ", n,
                                                    " codes of ", code_bytes, " bytes"));
  }
  std::vector<float> vectors(n * spec_.dimension);
  for (size_t i = 0; i < n; ++i) {
    const auto* code = reinterpret_cast<const uint8_t*>(codes.codes.data()) + i * code_bytes;
    absl::Status status = codebook->Decode(codes.lists[i], code, &vectors[i * spec_.dimension]);
    if (!status.ok()) {
      return InvalidField(absl::StrCat("codes.lists[", i, "]"), std::string(status.message()));
    }
  }
  return vectors;
}

}  // namespace tessera
