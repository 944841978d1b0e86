#include "index/ivf/row_fetcher.h"

#include "index/base/status_macros.h"

namespace tessera {

void RowFetcher::Clear() {
  rows_.clear();
  missing_.clear();
  missing_at_.clear();
}

void RowFetcher::Add(const VectorSource& vectors, std::span<const Slot> slots) {
  const size_t begin = rows_.size();
  rows_.resize(begin + slots.size());
  vectors.Locate(slots, rows_.data() + begin);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (rows_[begin + i] != nullptr) continue;
    missing_.push_back(slots[i]);
    missing_at_.push_back(begin + i);
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
