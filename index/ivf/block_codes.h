#ifndef TESSERA_INDEX_IVF_BLOCK_CODES_H_
#define TESSERA_INDEX_IVF_BLOCK_CODES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/base/buffer.h"
#include "index/base/limits.h"
#include "index/base/prefetch.h"
#include "index/base/slot_codes.h"
#include "index/simd/lut_scan.h"

namespace tessera {

// The slot codes of the entries of some blocks, in the order of the entries, so that a filtered
// scan reads them as one stream instead of one by one from all over memory. Each block's are read
// from the SlotCodes when they are first asked for, and kept as long as the blocks: these never
// change once readers see them. An entry whose slot has been given to another point since may have
// that one's code, but then no reader of the block holds the entry for alive.
//
// Thread-safe.
class BlockCodes {
 public:
  // `meter` counts the bytes while they live.
  BlockCodes(size_t blocks, std::shared_ptr<std::atomic<size_t>> meter)
      : blocks_(blocks), meter_(std::move(meter)) {}
  BlockCodes(const BlockCodes&) = delete;
  BlockCodes& operator=(const BlockCodes&) = delete;
  ~BlockCodes();

  // The codes of the `count` blocks from the first-th on, which begin at `blocks`. They lie here
  // or, if codes of as many kinds are kept as may be, in `scratch`, which has room for them.
  const uint16_t* Get(const std::shared_ptr<const SlotCodes>& codes, const LutScanShape& shape,
                      const uint8_t* blocks, size_t first, size_t count, uint16_t* scratch) {
    const Kept* kept = Find(codes.get());
    if (kept != nullptr && kept->AreRead(first, count)) return kept->of_block(first);
    return Read(codes, shape, blocks, first, count, scratch);
  }
  // Has them come into the cache if they are kept.
  void FetchAhead(const SlotCodes* codes, size_t first, size_t count) const {
    const Kept* kept = Find(codes);
    if (kept == nullptr) return;
    for (size_t b = first; b < first + count; ++b) PrefetchFar(kept->of_block(b));
  }

 private:
  enum State : uint8_t { kMissing, kBeingRead, kRead };

  struct Kept {
    explicit Kept(size_t blocks) : codes(blocks * kLutScanBlockVectors), states(blocks) {}

    const uint16_t* of_block(size_t b) const { return codes.data() + b * kLutScanBlockVectors; }
    bool AreRead(size_t first, size_t count) const {
      bool all = true;
      for (size_t b = first; b < first + count; ++b) {
        all &= std::atomic_ref<const uint8_t>(states[b]).load(std::memory_order_acquire) == kRead;
      }
      return all;
    }

    std::atomic<const SlotCodes*> of{nullptr};
    std::weak_ptr<const SlotCodes> alive;  // so that `of` is the address of no other; mutex_
    AlignedBuffer<uint16_t> codes;
    AlignedBuffer<uint8_t> states;  // of each block
  };

  size_t kept_bytes() const { return blocks_ * (kLutScanBlockVectors * sizeof(uint16_t) + 1); }
  Kept* Find(const SlotCodes* codes) const {
    for (const auto& place : kept_) {
      Kept* kept = place.load(std::memory_order_acquire);
      if (kept == nullptr) return nullptr;
      if (kept->of.load(std::memory_order_acquire) == codes) return kept;
    }
    return nullptr;
  }
  // As Get, of blocks whose codes have not all been read.
  const uint16_t* Read(const std::shared_ptr<const SlotCodes>& codes, const LutScanShape& shape,
                       const uint8_t* blocks, size_t first, size_t count, uint16_t* scratch);
  Kept* FindOrAdd(const std::shared_ptr<const SlotCodes>& codes) ABSL_LOCKS_EXCLUDED(mutex_);

  const size_t blocks_;
  const std::shared_ptr<std::atomic<size_t>> meter_;
  std::array<std::atomic<Kept*>, limits::kListCodesMax> kept_{};  // from the front
  absl::Mutex mutex_;                                             // of who adds to kept_
};

// Memory of blocks of packed codes, and what is kept beside them.
class BlockMemory {
 public:
  BlockMemory(size_t blocks, size_t block_bytes, std::shared_ptr<std::atomic<size_t>> meter);
  ~BlockMemory();
  BlockMemory(const BlockMemory&) = delete;
  BlockMemory& operator=(const BlockMemory&) = delete;

  uint8_t* data() { return buffer_.data(); }
  // The codes of blocks that lie here; as BlockCodes::Get.
  const uint16_t* Codes(const std::shared_ptr<const SlotCodes>& codes, const LutScanShape& shape,
                        const uint8_t* blocks, size_t count, uint16_t* scratch) const {
    return codes_.Get(codes, shape, blocks, IndexOf(blocks), count, scratch);
  }
  void FetchCodes(const SlotCodes* codes, const uint8_t* blocks, size_t count) const {
    codes_.FetchAhead(codes, IndexOf(blocks), count);
  }

 private:
  size_t IndexOf(const uint8_t* block) const {
    return static_cast<size_t>(block - buffer_.data()) / block_bytes_;
  }

  const size_t block_bytes_;
  AlignedBuffer<uint8_t> buffer_;
  mutable BlockCodes codes_;
  std::shared_ptr<std::atomic<size_t>> meter_;  // counts the bytes while they live
};

}  // namespace tessera

#endif  // TESSERA_INDEX_IVF_BLOCK_CODES_H_
