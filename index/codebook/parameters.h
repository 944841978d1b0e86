#ifndef TESSERA_INDEX_CODEBOOK_PARAMETERS_H_
#define TESSERA_INDEX_CODEBOOK_PARAMETERS_H_

#include <cstddef>
#include <cstdint>

#include "index/base/types.h"
#include "index/codebook/codebook.h"

namespace tessera {

// Where reranking reads full vectors: from a disk each candidate costs as much as scanning
// hundreds of codes, so that finer codes and fewer candidates suit it.
enum class RerankSource { kMemory, kDisk };

// Fills in every field of `spec` that is 0, for `points` vectors of `dimension` components, and
// sets metric and dimension. What is chosen, and the measurements behind it, are in README.md.
// Fields that a user has set stay, sensible or not: CheckCodebookSpec judges them.
void ChooseIndexParameters(Metric metric, uint32_t dimension, uint64_t points, RerankSource source,
                           CodebookSpec* spec);

struct SearchDefaults {
  uint32_t nprobe = 1;
  uint32_t rerank = 0;  // candidates whose full vectors are compared, for k = 10
};

// What a search does when its caller does not say: recall@10 of 0.95 or more with exact rerank,
// with a margin. It follows what training has measured, else what suited the data that README.md
// names. `points` is how many are searched, `rule` that of how many lists each query probes.
SearchDefaults ChooseSearchDefaults(const CodebookSpec& spec, const ProbeRule& rule,
                                    const SearchNeeds& measured, uint64_t points);

// As points become more, more of them are as far as the true neighbours, and codes tell them apart
// less well: so many times the candidates are needed among `points` that were measured to be among
// `measured_points`; 1 at least. README.md has the measurements.
double RerankGrowth(uint64_t measured_points, uint64_t points);

// To scan one entry of a list with a code of so many bytes, about.
double EntryNs(size_t code_bytes);

// To compare one candidate in full, about, where it lies at `source`.
double CandidateNs(RerankSource source, size_t vector_bytes);

// How many candidates to rerank for k answers, where `rerank` suits 10.
uint64_t RerankFor(const SearchDefaults& defaults, uint64_t k);

}  // namespace tessera

#endif  // TESSERA_INDEX_CODEBOOK_PARAMETERS_H_
