#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/collection_commands.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/table.h"

namespace tessera::cli {
namespace {

std::string OrAuto(uint64_t value, const char* automatic = "chosen at training") {
  return value == 0 ? automatic : FormatCount(value);
}

}  // namespace

void PrintCollection(Context& context, const v1::Collection& collection) {
  if (context.json()) return context.PrintJson(ToJson(collection));
  const v1::IndexSpec& index = collection.index();
  const std::vector<std::pair<const char*, std::string>> lines = {
      {"collection", collection.collection_name()},
      {"state", v1::CollectionState_Name(collection.state())},
      {"points", FormatCount(collection.points())},
      {"dimension", std::to_string(collection.dimension())},
      {"metric", v1::Metric_Name(collection.metric())},
      {"element type", v1::ElementType_Name(collection.element_type())},
      {"vectors", v1::VectorPlacement_Name(index.vectors())},
      {"nlist", OrAuto(index.nlist())},
      {"subquantizers", absl::StrCat(OrAuto(index.subquantizers()), " x ", index.nbits(), " bits")},
      {"default nprobe", OrAuto(index.default_nprobe())},
      {"default rerank", OrAuto(index.default_rerank(), "chosen by each search")},
      {"seed", std::to_string(index.seed())},
      {"codebook version",
       collection.codebook_version() == 0 ? "none" : std::to_string(collection.codebook_version())},
      {"memory", FormatBytes(collection.memory_bytes())},
      {"disk", FormatBytes(collection.disk_bytes())},
      {"sequence", std::to_string(collection.sequence())},
      {"durability", v1::Durability_Name(collection.durability())},
      {"revision", std::to_string(collection.revision())},
      {"created", ToText(collection.create_time())}};
  Table table({{"FIELD"}, {"VALUE"}});
  for (const auto& [field, value] : lines) table.AddRow({field, value});
  if (!collection.metadata().empty()) table.AddRow({"metadata", collection.metadata()});
  for (const v1::PayloadIndex& i : collection.payload_indexes()) {
    table.AddRow({"index", absl::StrCat(i.key(), " (", v1::PayloadIndexType_Name(i.type()), ", ",
                                        i.ready() ? "" : "building, ", FormatCount(i.points()),
                                        " points, ", FormatBytes(i.memory_bytes()), ")")});
  }
  if (collection.has_calibration()) {
    const v1::Calibration& calibration = collection.calibration();
    table.AddRow({"calibrated", absl::StrCat("with ", FormatCount(calibration.queries()),
                                             calibration.stored_queries() ? " points" : " queries",
                                             ", of ", FormatCount(calibration.points()),
                                             " points, ", ToText(calibration.create_time()))});
    for (const v1::CalibratedDepth& depth : calibration.depths()) {
      table.AddRow({absl::StrCat("recall@10 ", depth.target_recall()),
                    absl::StrCat("nprobe ", depth.nprobe(), ", rerank ", depth.rerank())});
    }
  }
  if (collection.has_verified_recall()) {
    const v1::VerifiedRecall& verified = collection.verified_recall();
    table.AddRow({"verified recall",
                  absl::StrCat(FormatFixed(verified.recall(), 4), " +- ",
                               FormatFixed(verified.standard_error(), 4), ", of the last ",
                               FormatCount(verified.searches()), " searches that were verified")});
  }
  context.out() << table.Render();
}

}  // namespace tessera::cli
