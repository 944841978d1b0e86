#include "index/ivf/candidate_sieve.h"

namespace tessera {

size_t CandidateSieve::Sift(Metric metric, size_t k, std::span<const float> query,
                            const VectorSource& vectors, std::span<Slot> slots,
                            uint64_t* compared) {
  if (slots.size() <= k) return slots.size();
  if (rows_.size() < slots.size()) rows_.resize(slots.size());
  vectors.LocateScalar(slots, rows_.data());
  sieve_.SetQuery(metric, query);
  return sieve_.Sift(k, rows_.data(), slots.data(), slots.size(), compared);
}

}  // namespace tessera
