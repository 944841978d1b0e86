#ifndef TESSERA_SERVER_HTTP_METRIC_FAMILIES_H_
#define TESSERA_SERVER_HTTP_METRIC_FAMILIES_H_

#include <string>
#include <vector>

#include "prometheus/metric_family.h"
#include "server/engine/types.h"
#include "server/metrics/call_stats.h"

// Numbers of the server as families of Prometheus. README.md lists them.
namespace tessera {

std::vector<prometheus::MetricFamily> CallFamilies(const std::vector<CallStats::Method>& methods);
std::vector<prometheus::MetricFamily> CollectionFamilies(
    const std::vector<CollectionInfo>& collections);
// Of this process, by the names that Prometheus' own clients use.
std::vector<prometheus::MetricFamily> ProcessFamilies();

prometheus::MetricFamily GaugeFamily(const std::string& name, const std::string& help,
                                     double value);

}  // namespace tessera

#endif  // TESSERA_SERVER_HTTP_METRIC_FAMILIES_H_
