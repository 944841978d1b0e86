#ifndef TESSERA_INDEX_BASE_BUFFER_H_
#define TESSERA_INDEX_BASE_BUFFER_H_

#include <cstddef>
#include <type_traits>
#include <utility>

namespace tessera {

// Zeroed memory, aligned to a cache line. From 2 MiB on it is mapped, aligned to 2 MiB, advised
// into huge pages (random access then costs one TLB entry per 2 MiB), and takes no memory until
// touched. Running out of memory aborts: callers bound their sizes before they ask (limits.h).
void* AllocateAligned(size_t bytes);
void FreeAligned(void* memory, size_t bytes);
// Gives the memory of all whole pages from byte `begin` on back to the system: of 2 MiB where it
// was mapped, else of 4 KiB. They read as zero until they are written again.
void ReleaseAligned(void* memory, size_t begin, size_t bytes);

// An owned array of `size` trivially copyable elements, zero-initialised. Move-only.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size)
      : data_(size == 0 ? nullptr : static_cast<T*>(AllocateAligned(size * sizeof(T)))),
        size_(size) {}
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() { FreeAligned(data_, size_ * sizeof(T)); }

  // ReleaseAligned from element `begin` on.
  void ReleaseFrom(size_t begin) { ReleaseAligned(data_, begin * sizeof(T), size_ * sizeof(T)); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

// Makes room for `size` elements of scratch memory; what it held is lost where it has to grow.
template <class T>
void Grow(AlignedBuffer<T>& buffer, size_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer<T>(size);
}

}  // namespace tessera

#endif  // TESSERA_INDEX_BASE_BUFFER_H_
