#ifndef TESSERA_SERVER_FSCK_STORE_CHECK_H_
#define TESSERA_SERVER_FSCK_STORE_CHECK_H_

#include "absl/status/status.h"
#include "server/fsck/findings.h"
#include "server/storage/store.h"

namespace tessera {

// Checks every record of an open store. FAILED_PRECONDITION if it has a format that this program
// does not read; all that is wrong goes into `findings`.
absl::Status CheckStore(Store& store, Findings& findings);

}  // namespace tessera

#endif  // TESSERA_SERVER_FSCK_STORE_CHECK_H_
