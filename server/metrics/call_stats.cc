#include "server/metrics/call_stats.h"

#include <algorithm>
#include <atomic>

#include "absl/strings/string_view.h"

namespace tessera {

struct CallStats::Counts {
  std::array<std::atomic<uint64_t>, kCodes> by_code = {};
  std::array<std::atomic<uint64_t>, kTimeBounds.size() + 1> by_time = {};
  std::atomic<int64_t> nanoseconds{0};
};

CallStats::CallStats() = default;
CallStats::~CallStats() = default;

void CallStats::Record(std::string_view method, absl::StatusCode code, absl::Duration time) {
  Counts& counts = CountsOf(method);
  // A code that gRPC does not know is its UNKNOWN.
  const auto number = static_cast<size_t>(code);
  const size_t place = number < kCodes ? number : static_cast<size_t>(absl::StatusCode::kUnknown);
  counts.by_code[place].fetch_add(1, std::memory_order_relaxed);
  const auto bound =
      std::lower_bound(kTimeBounds.begin(), kTimeBounds.end(), absl::ToDoubleSeconds(time));
  counts.by_time[static_cast<size_t>(bound - kTimeBounds.begin())].fetch_add(
      1, std::memory_order_relaxed);
  counts.nanoseconds.fetch_add(absl::ToInt64Nanoseconds(time), std::memory_order_relaxed);
}

CallStats::Counts& CallStats::CountsOf(std::string_view method) {
  const absl::string_view name(method.data(), method.size());
  {
    absl::ReaderMutexLock lock(&mutex_);
    const auto at = methods_.find(name);
    if (at != methods_.end()) return *at->second;
  }
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<Counts>& counts = methods_[name];
  if (counts == nullptr) counts = std::make_unique<Counts>();
  return *counts;
}

std::vector<CallStats::Method> CallStats::Read() const {
  std::vector<Method> methods;
  {
    absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [name, counts] : methods_) {
      Method& method = methods.emplace_back();
      method.name = name;
      std::copy(counts->by_code.begin(), counts->by_code.end(), method.by_code.begin());
      std::copy(counts->by_time.begin(), counts->by_time.end(), method.by_time.begin());
      method.time = absl::Nanoseconds(counts->nanoseconds.load(std::memory_order_relaxed));
    }
  }
  std::sort(methods.begin(), methods.end(),
            [](const Method& a, const Method& b) { return a.name < b.name; });
  return methods;
}

}  // namespace tessera
