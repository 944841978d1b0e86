#include "server/http/metrics_server.h"

#include <exception>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "prometheus/collectable.h"
#include "prometheus/exposer.h"
#include "server/http/metric_families.h"

namespace tessera {
namespace {

// One for who asks, and others for who asks and does not read.
constexpr char kThreads[] = "4";
constexpr char kRequestTimeoutMs[] = "5000";

// civetweb has a port alone for all addresses.
std::string ListeningPort(const std::string& address) {
  return address.starts_with(':') ? address.substr(1) : address;
}

// What a page tells, put together anew for each.
class Page final : public prometheus::Collectable {
 public:
  Page(std::string version, const CallStats& calls)
      : version_(std::move(version)), calls_(calls), start_(absl::Now()) {}

  // Null: there is none.
  void SetEngine(Engine* engine) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    engine_ = engine;
  }

  // prometheus-cpp calls it from a thread in which an exception would end the process.
  std::vector<prometheus::MetricFamily> Collect() const override ABSL_LOCKS_EXCLUDED(mutex_) {
    try {
      return CollectAll();
    } catch (const std::exception&) {
      return {};
    }
  }

 private:
  std::vector<prometheus::MetricFamily> CollectAll() const ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<prometheus::MetricFamily> families = ProcessFamilies();
    families.push_back(GaugeFamily("process_start_time_seconds", "Start, in seconds since 1970.",
                                   absl::ToDoubleSeconds(start_ - absl::UnixEpoch())));
    families.push_back(GaugeFamily("tessera_build_info", "1, with the program's version.", 1));
    families.back().metric.front().label = {{"version", version_}};
    Append(CallFamilies(calls_.Read()), families);
    absl::MutexLock lock(&mutex_);
    families.push_back(GaugeFamily("tessera_ready",
                                   "Whether the collections are recovered and served.",
                                   engine_ == nullptr ? 0 : 1));
    if (engine_ != nullptr) {
      Append(CollectionFamilies(engine_->ListCollections("", limits::kCollectionsMax)), families);
    }
    return families;
  }

  static void Append(std::vector<prometheus::MetricFamily> more,
                     std::vector<prometheus::MetricFamily>& families) {
    for (prometheus::MetricFamily& family : more) families.push_back(std::move(family));
  }

  const std::string version_;
  const CallStats& calls_;
  const absl::Time start_;
  mutable absl::Mutex mutex_;
  Engine* engine_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

class MetricsServerImpl final : public MetricsServer {
 public:
  MetricsServerImpl(const std::string& address, const std::string& version, const CallStats& calls)
      : page_(std::make_shared<Page>(version, calls)),
        exposer_(std::vector<std::string>{"listening_ports", ListeningPort(address), "num_threads",
                                          kThreads, "request_timeout_ms", kRequestTimeoutMs}) {
    exposer_.RegisterCollectable(page_);
  }

  int port() const override { return exposer_.GetListeningPorts().at(0); }
  void Serve(Engine& engine) override { page_->SetEngine(&engine); }
  void Stop() override { page_->SetEngine(nullptr); }

 private:
  const std::shared_ptr<Page> page_;
  prometheus::Exposer exposer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const std::string& address,
                                                                    const std::string& version,
                                                                    const CallStats& calls) {
  try {
    return std::make_unique<MetricsServerImpl>(address, version, calls);
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, " for metrics: ", error.what()));
  }
}

}  // namespace tessera
