#include "server/fsck/findings.h"

#include "index/base/limits.h"

namespace tessera {
namespace {

constexpr uint64_t kRecordsPerReport = 50'000;

}  // namespace

void Findings::Add(std::string where, std::string what) {
  ++report_.damages;
  if (report_.findings.size() < limits::kFsckFindingsMax) {
    report_.findings.push_back({std::move(where), std::move(what)});
  }
}

void Findings::Add(std::string where, const absl::Status& status) {
  if (!status.ok()) Add(std::move(where), std::string(status.message()));
}

void Findings::CountRecord(const char* what) {
  if (++report_.records % kRecordsPerReport == 0 && progress_) progress_(what, report_.records);
}

}  // namespace tessera
