#include "tests/server/storage/store_writer.h"

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

// The records of a family have to be those of commits [first, count).
absl::Status CheckFamily(Store& store, Family family, uint64_t first, uint64_t count) {
  auto iterator = store.Scan(family, "", "", /*bulk=*/true);
  uint64_t number = first;
  for (; iterator->Valid(); iterator->Next(), ++number) {
    if (iterator->key() != WrittenKey(number) || iterator->value() != WrittenValue(number)) {
      return absl::InternalError(absl::StrCat("wrong record at commit ", number));
    }
  }
  if (!iterator->status().ok()) return iterator->status();
  if (number == count) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("half a commit: ", number, " of ", count));
}

}  // namespace

absl::StatusOr<uint64_t> CountWritten(Store& store) {
  uint64_t count = 0;
  auto iterator = store.Scan(Family::kIds, "", "", /*bulk=*/false);
  for (; iterator->Valid(); iterator->Next()) ++count;
  if (!iterator->status().ok()) return iterator->status();
  for (Family family : kWrittenFamilies) {
    const bool shrinks = family == Family::kCodes && count > kDeletedAfter;
    const absl::Status status =
        CheckFamily(store, family, shrinks ? count - kDeletedAfter : 0, count);
    if (!status.ok()) return status;
  }
  return count;
}

}  // namespace tessera
