#ifndef TESSERA_SERVER_ENGINE_COLLECTION_SPEC_H_
#define TESSERA_SERVER_ENGINE_COLLECTION_SPEC_H_

#include <string>

#include "absl/status/status.h"
#include "index/codebook/parameters.h"
#include "server/engine/types.h"

namespace tessera {

// A name that a collection or an alias may have. INVALID_ARGUMENT names `field`.
absl::Status CheckNewName(const std::string& name, const std::string& field);

// Checks what a user asks of a new collection and fills in what the server chooses.
// INVALID_ARGUMENT names the field and the limit.
absl::Status CompleteCollectionSpec(CollectionSpec* spec);

// Where searches of a collection read what they rerank candidates with. Scalar codes leave a few
// candidates to the disk, however many there are.
inline RerankSource RerankSourceOf(VectorPlacement vectors) {
  return vectors == VectorPlacement::kDisk ? RerankSource::kDisk : RerankSource::kMemory;
}

// What the slot table keeps of each vector: all of it, its scalar code, or nothing.
size_t RowBytesInMemory(const CollectionSpec& spec, VectorPlacement vectors);

// What one more candidate costs such a search, about.
double CandidateNsOf(const CollectionSpec& spec, VectorPlacement vectors);

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_COLLECTION_SPEC_H_
