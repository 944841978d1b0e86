#include "index/ivf/row_fetcher.h"

#include "index/base/status_macros.h"

namespace tessera {

void RowFetcher::Clear() {
  count_ = 0;
  missing_.clear();
  missing_at_.clear();
}

void RowFetcher::Add(const VectorSource& vectors, std::span<const Slot> slots) {
  const size_t begin = count_;
  count_ += slots.size();
  if (rows_.size() < count_) rows_.resize(count_);
  vectors.Locate(slots, rows_.data() + begin);
  // Nearly always none is missing: without a branch on each.
  size_t missing = 0;
  for (size_t i = begin; i < count_; ++i) missing += rows_[i] == nullptr ? 1 : 0;
  if (missing == 0) return;
  for (size_t i = begin; i < count_; ++i) {
    if (rows_[i] != nullptr) continue;
    missing_.push_back(slots[i - begin]);
    missing_at_.push_back(i);
  }
}

absl::Status RowFetcher::ReadMissing(const VectorSource& vectors, size_t row_bytes) {
  if (missing_.empty()) return absl::OkStatus();
  Grow(read_, missing_.size() * row_bytes);
  if (found_size_ < missing_.size()) {
    found_ = std::make_unique<bool[]>(missing_.size());
    found_size_ = missing_.size();
  }
  RETURN_IF_ERROR(vectors.Read(missing_, read_.data(), found_.get()));
  for (size_t i = 0; i < missing_.size(); ++i) {
    if (found_[i]) rows_[missing_at_[i]] = read_.data() + i * row_bytes;
  }
  return absl::OkStatus();
}

}  // namespace tessera
