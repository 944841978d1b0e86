// tessera collection update
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "client/cli/collection_commands.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/messages.h"
#include "client/cli/number_option.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

// What is not given stays as it is.
struct UpdateOptions {
  std::string name;
  std::optional<uint32_t> nlist, subquantizers, nbits, iterations, training_vectors_per_list;
  std::optional<uint32_t> default_nprobe, default_rerank;
  std::optional<uint64_t> seed, expected_revision;
  std::optional<std::string> placement, durability, metadata;
};

absl::StatusOr<v1::UpdateCollectionRequest> MakeRequest(const UpdateOptions& options) {
  v1::UpdateCollectionRequest request;
  request.set_collection_name(options.name);
  v1::IndexSpec& index = *request.mutable_index();
  const auto set = [&](const char* path, const auto& option, const auto& setter) {
    if (!option.has_value()) return;
    request.mutable_update_mask()->add_paths(path);
    setter(*option);
  };
  set("index.nlist", options.nlist, [&](auto value) { index.set_nlist(value); });
  set("index.subquantizers", options.subquantizers,
      [&](auto value) { index.set_subquantizers(value); });
  set("index.nbits", options.nbits, [&](auto value) { index.set_nbits(value); });
  set("index.iterations", options.iterations, [&](auto value) { index.set_iterations(value); });
  set("index.training_vectors_per_list", options.training_vectors_per_list,
      [&](auto value) { index.set_training_vectors_per_list(value); });
  set("index.seed", options.seed, [&](auto value) { index.set_seed(value); });
  set("index.default_nprobe", options.default_nprobe,
      [&](auto value) { index.set_default_nprobe(value); });
  set("index.default_rerank", options.default_rerank,
      [&](auto value) { index.set_default_rerank(value); });
  ASSIGN_OR_RETURN(const v1::VectorPlacement placement,
                   ParsePlacement(options.placement.value_or("")));
  set("index.vectors", options.placement, [&](const auto&) { index.set_vectors(placement); });
  set("durability", options.durability,
      [&](const auto& value) { request.set_durability(ParseDurability(value)); });
  set("metadata", options.metadata, [&](const auto& value) { request.set_metadata(value); });
  if (request.update_mask().paths().empty()) return UsageError("there is nothing to change");
  if (options.expected_revision) request.set_expected_revision(*options.expected_revision);
  return request;
}

absl::Status RunUpdate(Context& context, const UpdateOptions& options) {
  ASSIGN_OR_RETURN(const v1::UpdateCollectionRequest request, MakeRequest(options));
  ASSIGN_OR_RETURN(const v1::Collection collection, context.client().UpdateCollection(request));
  PrintCollection(context, collection);
  return absl::OkStatus();
}

void AddTrainingOptions(CLI::App* update, UpdateOptions& options) {
  const std::string training = " (from the next training on)";
  AddNumber(update, "--nlist", options.nlist, "Inverted lists; 0: chosen" + training);
  AddNumber(update, "--subquantizers", options.subquantizers,
            "Parts a vector is cut into; 0: chosen" + training);
  AddNumber(update, "--nbits", options.nbits, "Bits of each part's code" + training)
      ->check(CLI::IsMember({"4", "8"}));
  AddNumber(update, "--seed", options.seed, "Of training" + training);
  AddNumber(update, "--iterations", options.iterations, "Of k-means" + training);
  AddNumber(update, "--training-vectors-per-list", options.training_vectors_per_list,
            "Vectors sampled for k-means" + training);
}

}  // namespace

void AddCollectionUpdate(CLI::App& group, Command& selected) {
  auto options = std::make_shared<UpdateOptions>();
  CLI::App* update = AddCommand(
      group, "update", "Change what can change of a collection: what is named, at one moment",
      "  tessera collection update words --default-nprobe 32\n"
      "  tessera collection update words --metadata '{\"owner\":\"search team\"}' "
      "--expected-revision 1");
  update->add_option("name", options->name, "Name of the collection")->required();
  AddNumber(update, "--default-nprobe", options->default_nprobe,
            "Lists that searches probe, on average, if they do not say; 0: chosen at training");
  AddNumber(update, "--default-rerank", options->default_rerank,
            "Candidates that a search reranks if it does not say; 0: chosen by each");
  update->add_option("--durability", options->durability, "Of writes that name none")
      ->check(CLI::IsMember({"sync", "async"}));
  update->add_option("--metadata", options->metadata,
                     "A JSON object for the collection's users; '': none");
  update
      ->add_option("--vectors", options->placement,
                   "Where reranking reads full vectors from: memory, disk or disk_sq8 (from the "
                   "server's next start on)")
      ->check(CLI::IsMember({"memory", "disk", "disk_sq8"}));
  AddTrainingOptions(update, *options);
  AddNumber(update, "--expected-revision", options->expected_revision,
            "Change nothing unless the collection has this revision");
  Select(update, selected, options, RunUpdate);
}

}  // namespace tessera::cli
