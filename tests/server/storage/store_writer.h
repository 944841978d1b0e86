#ifndef TESSERA_TESTS_SERVER_STORAGE_STORE_WRITER_H_
#define TESSERA_TESTS_SERVER_STORAGE_STORE_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "server/storage/store.h"

namespace tessera {

// The commits that tests make and check: the number-th puts one key into three families, and takes
// one of ten commits ago out of the third.
inline constexpr Family kWrittenFamilies[] = {Family::kIds, Family::kPoints, Family::kCodes};
inline constexpr uint64_t kDeletedAfter = 10;

inline std::string WrittenKey(uint64_t number) { return absl::StrFormat("key %010u", number); }

inline std::string WrittenValue(uint64_t number) {
  std::string value = absl::StrFormat("value %u ", number);
  for (uint64_t state = number; value.size() < 100 + number % 400;) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value += static_cast<char>(state >> 56);
  }
  return value;
}

inline std::unique_ptr<StoreBatch> WrittenBatch(Store& store, uint64_t number) {
  auto batch = store.NewBatch();
  for (Family family : kWrittenFamilies) {
    batch->Put(family, WrittenKey(number), WrittenValue(number));
  }
  if (number >= kDeletedAfter) batch->Delete(Family::kCodes, WrittenKey(number - kDeletedAfter));
  return batch;
}

// How many commits the store holds; DATA_LOSS if what it holds is not exactly the first n of them.
absl::StatusOr<uint64_t> CountWritten(Store& store);

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_STORAGE_STORE_WRITER_H_
