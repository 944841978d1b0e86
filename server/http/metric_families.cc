#include "server/http/metric_families.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include "absl/status/status.h"

namespace tessera {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily NewFamily(const std::string& name, const std::string& help, MetricType type) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

ClientMetric HistogramOf(const CallStats::Method& method) {
  ClientMetric metric;
  metric.label = {{"method", method.name}};
  uint64_t calls = 0;
  for (size_t i = 0; i < method.by_time.size(); ++i) {
    calls += method.by_time[i];
    const double bound = i < CallStats::kTimeBounds.size()
                             ? CallStats::kTimeBounds[i]
                             : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({calls, bound});
  }
  metric.histogram.sample_count = calls;
  metric.histogram.sample_sum = absl::ToDoubleSeconds(method.time);
  return metric;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// Of the second number of /proc/self/statm.
double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double OpenFiles() {
  std::error_code error;
  double files = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
       at.increment(error)) {
    ++files;
  }
  return files;
}

}  // namespace

MetricFamily GaugeFamily(const std::string& name, const std::string& help, double value) {
  MetricFamily family = NewFamily(name, help, MetricType::Gauge);
  family.metric.emplace_back().gauge.value = value;
  return family;
}

std::vector<MetricFamily> CallFamilies(const std::vector<CallStats::Method>& methods) {
  MetricFamily calls = NewFamily("tessera_calls_total", "Calls that have ended, by their status.",
                                 MetricType::Counter);
  MetricFamily seconds = NewFamily("tessera_call_seconds",
                                   "Time from a call's arrival to its answer; of streams, to their "
                                   "end.",
                                   MetricType::Histogram);
  for (const CallStats::Method& method : methods) {
    for (size_t code = 0; code < method.by_code.size(); ++code) {
      if (method.by_code[code] == 0) continue;
      ClientMetric& metric = calls.metric.emplace_back();
      const auto name = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      metric.label = {{"method", method.name}, {"code", name}};
      metric.counter.value = static_cast<double>(method.by_code[code]);
    }
    seconds.metric.push_back(HistogramOf(method));
  }
  return {calls, seconds};
}

std::vector<MetricFamily> CollectionFamilies(const std::vector<CollectionInfo>& collections) {
  MetricFamily points = NewFamily("tessera_collection_points", "Points.", MetricType::Gauge);
  MetricFamily memory = NewFamily("tessera_collection_memory_bytes",
                                  "Memory of codes, vectors and indexes.", MetricType::Gauge);
  MetricFamily disk =
      NewFamily("tessera_collection_disk_bytes", "Disk, roughly.", MetricType::Gauge);
  MetricFamily codebook =
      NewFamily("tessera_collection_codebook_version",
                "Version of the codebook in use; 0: untrained.", MetricType::Gauge);
  MetricFamily recall =
      NewFamily("tessera_collection_verified_recall",
                "Share of the true nearest that searches find, of those that were "
                "verified of late.",
                MetricType::Gauge);
  MetricFamily error = NewFamily("tessera_collection_verified_recall_error",
                                 "Standard error of that.", MetricType::Gauge);
  for (const CollectionInfo& collection : collections) {
    const auto add = [&collection](MetricFamily& family, double value) {
      ClientMetric& metric = family.metric.emplace_back();
      metric.label = {{"collection", collection.spec.name}};
      metric.gauge.value = value;
    };
    add(points, static_cast<double>(collection.points));
    add(memory, static_cast<double>(collection.memory_bytes));
    add(disk, static_cast<double>(collection.disk_bytes));
    add(codebook, collection.codebook_version);
    if (!collection.verified.has_value()) continue;
    add(recall, collection.verified->recall);
    add(error, collection.verified->standard_error);
  }
  return {points, memory, disk, codebook, recall, error};
}

std::vector<MetricFamily> ProcessFamilies() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  MetricFamily cpu = NewFamily("process_cpu_seconds_total", "Processor time, user and system.",
                               MetricType::Counter);
  cpu.metric.emplace_back().counter.value = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  return {cpu,
          GaugeFamily("process_resident_memory_bytes", "Memory that is resident.", ResidentBytes()),
          GaugeFamily("process_open_fds", "Files that are open.", OpenFiles()),
          GaugeFamily("process_max_fds", "Files that may be open.",
                      static_cast<double>(files.rlim_cur))};
}

}  // namespace tessera
