// What the Codebooks service asks of a collection, but for training.
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/collection.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

CodebookInfo ToInfo(const std::string& collection, uint32_t version, uint32_t current,
                    const CodebookRecordView& record, const Codebook& codebook) {
  CodebookInfo info;
  info.collection = collection;
  info.version = version;
  info.current = version == current;
  info.dimension = codebook.dimension();
  info.metric = codebook.metric();
  info.nlist = codebook.nlist();
  info.subquantizers = codebook.subquantizers();
  info.nbits = codebook.nbits();
  info.code_bytes = static_cast<uint32_t>(codebook.code_bytes());
  info.content_hash = std::string(record.content_hash);
  info.size_bytes = record.bytes.size();
  info.training_vectors = codebook.training_vectors();
  info.mean_squared_error = codebook.mean_squared_error();
  info.create_time_ms = record.create_time_ms;
  return info;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Codebook>> Collection::ParseCodebook(
    const std::string& bytes) const {
  ASSIGN_OR_RETURN(std::shared_ptr<const Codebook> codebook, Codebook::Parse(bytes));
  if (codebook->dimension() != spec_.dimension || codebook->metric() != spec_.metric) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "CODEBOOK_MISMATCH",
                           absl::StrCat("the codebook has dimension ", codebook->dimension(),
                                        " or another metric; collection ", spec_.name,
                                        " has dimension ", spec_.dimension));
  }
  return codebook;
}

absl::StatusOr<std::vector<CodebookInfo>> Collection::ListCodebooks() const {
  const KeyRange range = CollectionRange(id_);
  std::vector<CodebookInfo> infos;
  auto it = store_.Scan(Family::kCodebooks, range.begin, range.end, nullptr, /*bulk=*/true);
  for (; it->Valid(); it->Next()) {
    CodebookKeyParts key;
    CodebookRecordView record;
    RETURN_IF_ERROR(ParseCodebookKey(it->key(), &key));
    RETURN_IF_ERROR(DecodeCodebook(it->key(), it->value(), &record));
    ASSIGN_OR_RETURN(auto codebook, Codebook::Parse(record.bytes));
    infos.push_back(ToInfo(spec_.name, key.version, view()->codebook_version, record, *codebook));
  }
  RETURN_IF_ERROR(it->status());
  return infos;
}

absl::Status Collection::NotTrained() const {
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition, "CODEBOOK_NOT_TRAINED",
                         absl::StrCat("collection ", spec_.name, " is not trained"));
}

// The stored record of a version; 0 is the current one, and is set to its number.
absl::StatusOr<std::string> Collection::CodebookValue(uint32_t* version) const {
  if (*version == 0) *version = view()->codebook_version;
  if (*version == 0) return NotTrained();
  ASSIGN_OR_RETURN(std::optional<std::string> value,
                   store_.Get(Family::kCodebooks, CodebookKey(id_, *version)));
  if (!value.has_value()) return NotFound("codebook", absl::StrCat(spec_.name, "/", *version));
  return *std::move(value);
}

absl::StatusOr<CodebookInfo> Collection::GetCodebook(uint32_t version) const {
  ASSIGN_OR_RETURN(const std::string value, CodebookValue(&version));
  CodebookRecordView record;
  RETURN_IF_ERROR(DecodeCodebook(CodebookKey(id_, version), value, &record));
  ASSIGN_OR_RETURN(auto codebook, Codebook::Parse(record.bytes));
  return ToInfo(spec_.name, version, view()->codebook_version, record, *codebook);
}

absl::StatusOr<std::string> Collection::ExportCodebook(uint32_t version) const {
  ASSIGN_OR_RETURN(const std::string value, CodebookValue(&version));
  CodebookRecordView record;
  RETURN_IF_ERROR(DecodeCodebook(CodebookKey(id_, version), value, &record));
  return std::string(record.bytes);
}

absl::StatusOr<CodeRows> Collection::Encode(VectorsView vectors) const {
  const auto now = view();
  if (now->codebook == nullptr) return NotTrained();
  if (vectors.rows > limits::kEncodeVectorsMax) {
    return InvalidField("vectors", absl::StrCat("has ", vectors.rows, " vectors; at most ",
                                                limits::kEncodeVectorsMax, " are allowed"));
  }
  Matrix floats;
  RETURN_IF_ERROR(WidenVectors(vectors, &floats));
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
    ASSIGN_OR_RETURN(const std::string bytes, ExportCodebook(codes.codebook_version));
    ASSIGN_OR_RETURN(codebook, Codebook::Parse(bytes));
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
