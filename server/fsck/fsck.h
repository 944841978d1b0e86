#ifndef TESSERA_SERVER_FSCK_FSCK_H_
#define TESSERA_SERVER_FSCK_FSCK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// One thing that is wrong.
struct FsckFinding {
  std::string where;  // a file, a record, or a collection
  std::string what;
};

struct FsckReport {
  uint64_t collections = 0;
  uint64_t points = 0;
  uint64_t records = 0;           // that were read
  uint64_t leftover_records = 0;  // of changes that are not complete: the server removes them
  uint64_t damages = 0;           // all of them; `findings` holds the first ones
  std::vector<FsckFinding> findings;

  bool ok() const { return damages == 0; }
};

// Told now and then of what is being read and how many records have been; may be empty.
using FsckProgress = std::function<void(std::string_view what, uint64_t records)>;

// Reads the whole store of a server's data directory, which no server may have open, and says what
// is wrong: damaged files and records, and records that do not fit together. Nothing is changed.
//
// Damage is in the report, also where it keeps the store from being opened. Errors are what
// prevents the check: NOT_FOUND (no store there), FAILED_PRECONDITION (a server holds it, a file
// cannot be opened, or the store has a later format).
absl::StatusOr<FsckReport> CheckDataDirectory(const std::string& data_dir,
                                              const FsckProgress& progress);

}  // namespace tessera

#endif  // TESSERA_SERVER_FSCK_FSCK_H_
