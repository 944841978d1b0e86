#include "server/engine/collection_spec.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "index/quantize/scalar_code.h"
#include "server/engine/errors.h"
#include "server/engine/payload.h"

namespace tessera {
namespace {

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
}

absl::Status CheckAtMost(const char* field, uint64_t value, uint64_t max) {
  if (value <= max) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("is ", value, "; at most ", max, " is allowed"));
}

absl::Status CheckIndex(const IndexConfig& index, uint32_t dimension) {
  RETURN_IF_ERROR(CheckAtMost("index.nlist", index.nlist, limits::kListsMax));
  RETURN_IF_ERROR(CheckAtMost("index.subquantizers", index.subquantizers,
                              std::min(dimension, limits::kSubquantizersMax)));
  if (index.nbits != 0 && index.nbits != 4 && index.nbits != 8) {
    return InvalidField("index.nbits", absl::StrCat("is ", index.nbits, "; 4 or 8 is allowed"));
  }
  RETURN_IF_ERROR(
      CheckAtMost("index.iterations", index.iterations, limits::kTrainingIterationsMax));
  RETURN_IF_ERROR(CheckAtMost("index.training_vectors_per_list", index.training_vectors_per_list,
                              limits::kTrainingVectorsMax));
  RETURN_IF_ERROR(CheckAtMost("index.default_nprobe", index.default_nprobe, limits::kListsMax));
  return CheckAtMost("index.default_rerank", index.default_rerank, limits::kRerankMax);
}

// Bytes are what scalar codes would be.
absl::Status CheckPlacement(const CollectionSpec& spec) {
  if (spec.index.vectors != VectorPlacement::kDiskSq8 || ElementSize(spec.element_type) > 1) {
    return absl::OkStatus();
  }
  return InvalidField(
      "index.vectors",
      "is DISK_SQ8, which needs components of more than 8 bits: FLOAT32 or FLOAT16");
}

absl::Status CheckMetadata(const std::string& metadata) {
  if (metadata.empty()) return absl::OkStatus();
  if (metadata.size() > limits::kCollectionMetadataBytesMax) {
    return InvalidField("metadata",
                        absl::StrCat("has ", metadata.size(), " bytes; at most ",
                                     limits::kCollectionMetadataBytesMax, " are allowed"));
  }
  const absl::Status status = ValidatePayload(metadata);
  return status.ok() ? status : InvalidField("metadata", std::string(status.message()));
}

}  // namespace

absl::Status CheckNewName(const std::string& name, const std::string& field) {
  if (name.empty() || name.size() > limits::kCollectionNameBytesMax) {
    return InvalidField(field, absl::StrCat("has ", name.size(), " bytes; 1 to ",
                                            limits::kCollectionNameBytesMax, " are allowed"));
  }
  const bool valid = std::isalnum(static_cast<unsigned char>(name[0])) &&
                     std::all_of(name.begin(), name.end(), IsNameCharacter);
  if (!valid) {
    return InvalidField(field, "must be letters, digits, _ - . and begin with a letter or digit");
  }
  return absl::OkStatus();
}

absl::Status CompleteCollectionSpec(CollectionSpec* spec) {
  RETURN_IF_ERROR(CheckNewName(spec->name, "collection_name"));
  if (spec->dimension == 0 || spec->dimension > limits::kDimensionMax) {
    return InvalidField("dimension", absl::StrCat("is ", spec->dimension, "; 1 to ",
                                                  limits::kDimensionMax, " are allowed"));
  }
  RETURN_IF_ERROR(CheckMetadata(spec->metadata));
  IndexConfig& index = spec->index;
  RETURN_IF_ERROR(CheckIndex(index, spec->dimension));
  RETURN_IF_ERROR(CheckPlacement(*spec));
  CodebookSpec chosen;
  chosen.nlist = index.nlist;
  chosen.nbits = index.nbits;
  chosen.seed = index.seed;
  chosen.iterations = index.iterations;
  chosen.training_vectors_per_list = index.training_vectors_per_list;
  // The points are not known yet: nlist and subquantizers stay open until the training.
  ChooseIndexParameters(spec->metric, spec->dimension, /*points=*/0, RerankSourceOf(index.vectors),
                        &chosen);
  index.nbits = chosen.nbits;
  index.seed = chosen.seed;
  index.iterations = chosen.iterations;
  index.training_vectors_per_list = chosen.training_vectors_per_list;
  return absl::OkStatus();
}

size_t RowBytesInMemory(const CollectionSpec& spec, VectorPlacement vectors) {
  if (vectors == VectorPlacement::kDisk) return 0;
  if (vectors == VectorPlacement::kDiskSq8) return ScalarRowBytes(spec.dimension);
  return spec.dimension * ElementSize(spec.element_type);
}

double CandidateNsOf(const CollectionSpec& spec, VectorPlacement vectors) {
  const size_t in_memory = RowBytesInMemory(spec, vectors);
  const size_t bytes = in_memory > 0 ? in_memory : spec.dimension * ElementSize(spec.element_type);
  return CandidateNs(RerankSourceOf(vectors), bytes);
}

}  // namespace tessera
