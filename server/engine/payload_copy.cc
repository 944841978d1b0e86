#include "server/engine/payload_copy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "index/base/limits.h"

namespace tessera {
namespace {

using Length = uint16_t;
constexpr Length kTooLong = 0xFFFF;
static_assert(limits::kCopiedPayloadBytesMax < kTooLong);

// Rows and their checksums are multiples of it, so that few lie in two cache lines more than need
// be.
constexpr size_t kRowUnit = 32;
constexpr size_t kChecksumBytes = 4;
// Rows may take so many times the room of the payloads, and this.
constexpr size_t kRoomTimes = 4;
constexpr size_t kRoomBytes = 64;

}  // namespace

std::optional<size_t> PayloadCopy::RowBytesFor(std::vector<size_t> lengths) {
  if (lengths.empty()) return std::nullopt;
  std::sort(lengths.begin(), lengths.end());
  const size_t length = lengths[(lengths.size() - 1) * 99 / 100];
  size_t total = 0;
  for (size_t one : lengths) total += one;
  const size_t room = kRoomTimes * total / lengths.size() + kRoomBytes;
  if (length == 0 || length > limits::kCopiedPayloadBytesMax || length > room) return std::nullopt;
  const size_t taken = sizeof(Length) + length + kChecksumBytes;
  return (taken + kRowUnit - 1) / kRowUnit * kRowUnit - kChecksumBytes;
}

bool PayloadCopy::IsRowBytes(size_t row_bytes) {
  return row_bytes > sizeof(Length) && row_bytes < limits::kCopiedPayloadBytesMax + kRowUnit;
}

std::vector<std::byte> PayloadCopy::RowsOf(size_t n, std::span<const std::string> payloads) const {
  std::vector<std::byte> rows(n * row_bytes_);  // zeros: no payload
  for (size_t i = 0; i < payloads.size(); ++i) {
    std::byte* const row = rows.data() + i * row_bytes_;
    const bool fits = payloads[i].size() <= row_bytes_ - sizeof(Length);
    const Length length = fits ? static_cast<Length>(payloads[i].size()) : kTooLong;
    std::memcpy(row, &length, sizeof(length));
    if (fits) std::memcpy(row + sizeof(length), payloads[i].data(), payloads[i].size());
  }
  return rows;
}

void PayloadCopy::Write(std::span<const Slot> slots, std::span<const std::string> payloads) {
  file_->Write(slots, RowsOf(slots.size(), payloads).data());
}

void PayloadCopy::Fill(std::span<const Slot> slots, std::span<const std::string> payloads) {
  file_->Fill(slots, RowsOf(slots.size(), payloads).data());
}

bool PayloadCopy::Read(std::span<const Slot> slots, bool may_wait,
                       const std::function<void(size_t, std::string_view)>& found) const {
  const size_t n = slots.size();
  const auto rows = std::make_unique_for_overwrite<std::byte[]>(n * row_bytes_);
  const auto there = std::make_unique<bool[]>(n);
  if (may_wait) {
    file_->Read(slots, rows.get(), there.get());
  } else if (!file_->ReadCached(slots, rows.get(), there.get())) {
    return false;
  }
  bool all = true;
  for (size_t i = 0; i < n; ++i) {
    const std::byte* const row = rows.get() + i * row_bytes_;
    Length length = kTooLong;
    if (there[i]) std::memcpy(&length, row, sizeof(length));
    if (length <= row_bytes_ - sizeof(Length)) {
      found(i, {reinterpret_cast<const char*>(row) + sizeof(Length), length});
    } else {
      all = false;
    }
  }
  return may_wait || all;
}

}  // namespace tessera
