#ifndef TESSERA_SERVER_FSCK_FINDINGS_H_
#define TESSERA_SERVER_FSCK_FINDINGS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/fsck/fsck.h"

namespace tessera {

// Gathers what a check finds into a report of bounded size. Not thread-safe.
class Findings {
 public:
  Findings(FsckReport& report, const FsckProgress& progress)
      : report_(report), progress_(progress) {}

  void Add(std::string where, std::string what);
  // The status as a finding; OK is none. Its message says where.
  void Add(std::string where, const absl::Status& status);
  void CountRecord(const char* what);
  void CountLeftover() { ++report_.leftover_records; }

  FsckReport& report() { return report_; }

 private:
  FsckReport& report_;
  const FsckProgress& progress_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FSCK_FINDINGS_H_
