#include "server/engine/verified_recall.h"

#include <cmath>
#include <numeric>

namespace tessera {

void VerifiedRecall::Add(uint32_t codebook_version, double recall) {
  absl::MutexLock lock(&mutex_);
  if (codebook_version != codebook_version_) recalls_.clear();
  codebook_version_ = codebook_version;
  if (recalls_.size() == kSearchesKept) recalls_.pop_front();
  recalls_.push_back(recall);
}

std::optional<VerifiedRecallInfo> VerifiedRecall::Of(uint32_t codebook_version) const {
  absl::MutexLock lock(&mutex_);
  if (recalls_.empty() || codebook_version != codebook_version_) return std::nullopt;
  const double sum = std::accumulate(recalls_.begin(), recalls_.end(), 0.0);
  VerifiedRecallInfo info;
  info.searches = static_cast<uint32_t>(recalls_.size());
  info.recall = sum / info.searches;
  // As if one more had found everything, and another one nothing: else the first few, which find
  // all as a rule, would look like a certainty.
  const double n = info.searches + 2;
  const double mean = (sum + 1) / n;
  double squares = mean * mean + (1 - mean) * (1 - mean);
  for (const double recall : recalls_) squares += (recall - mean) * (recall - mean);
  info.standard_error = std::sqrt(squares / (n - 1) / n);
  return info;
}

}  // namespace tessera
