#ifndef TESSERA_SERVER_ENGINE_PAYLOAD_COPY_H_
#define TESSERA_SERVER_ENGINE_PAYLOAD_COPY_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index/base/types.h"
#include "server/storage/row_file.h"

namespace tessera {

// Payloads in the rows of a row file, for searches that answer with them: the store needs ten times
// as long. A row is the payload's length (u16), the payload, and zeros; a length of 0xFFFF says
// that it is too long for a row, and only in the store.
//
// Thread-safe, as the file is.
class PayloadCopy {
 public:
  // Bytes of a row that nearly all of the payloads fit into of which these are the lengths of some.
  // None if there are no payloads, if too many are longer than limits::kCopiedPayloadBytesMax, or
  // the rows would take much more room than the payloads.
  static std::optional<size_t> RowBytesFor(std::vector<size_t> lengths);

  // Whether it may have given so many.
  static bool IsRowBytes(size_t row_bytes);

  explicit PayloadCopy(std::unique_ptr<RowFile> file, size_t row_bytes)
      : file_(std::move(file)), row_bytes_(row_bytes) {}

  RowFile& file() { return *file_; }
  const RowFile& file() const { return *file_; }

  // As RowFile::Write and Fill, with a payload for each slot, or none at all.
  void Write(std::span<const Slot> slots, std::span<const std::string> payloads);
  void Fill(std::span<const Slot> slots, std::span<const std::string> payloads);

  // Calls found(i, payload) for every slots[i] whose payload is in the copy. False if it may not
  // wait, and would have to; some may have been found then.
  bool Read(std::span<const Slot> slots, bool may_wait,
            const std::function<void(size_t, std::string_view)>& found) const;

 private:
  std::vector<std::byte> RowsOf(size_t n, std::span<const std::string> payloads) const;

  const std::unique_ptr<RowFile> file_;
  const size_t row_bytes_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_PAYLOAD_COPY_H_
