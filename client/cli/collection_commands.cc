// tessera collection create|list|get|delete; the other sub-commands have files of their own
#include "client/cli/collection_commands.h"

#include <memory>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/number_option.h"
#include "client/cli/table.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct CreateOptions {
  std::string name;
  uint32_t dimension = 0;
  std::string metric, element_type, placement, durability, metadata;
  uint32_t nlist = 0, subquantizers = 0, nbits = 0, iterations = 0;
  uint32_t training_vectors_per_list = 0, default_nprobe = 0, default_rerank = 0;
  uint64_t seed = 0;
  bool if_not_exists = false;
};

struct NameOptions {
  std::string name;
  bool if_exists = false;
};

absl::StatusOr<v1::CreateCollectionRequest> MakeRequest(const CreateOptions& options) {
  v1::CreateCollectionRequest request;
  request.set_collection_name(options.name);
  request.set_dimension(options.dimension);
  ASSIGN_OR_RETURN(const v1::Metric metric, ParseMetric(options.metric));
  request.set_metric(metric);
  ASSIGN_OR_RETURN(const v1::ElementType type, ParseElementType(options.element_type));
  request.set_element_type(type);
  v1::IndexSpec& index = *request.mutable_index();
  ASSIGN_OR_RETURN(const v1::VectorPlacement placement, ParsePlacement(options.placement));
  index.set_vectors(placement);
  index.set_nlist(options.nlist);
  index.set_subquantizers(options.subquantizers);
  index.set_nbits(options.nbits);
  index.set_seed(options.seed);
  index.set_iterations(options.iterations);
  index.set_training_vectors_per_list(options.training_vectors_per_list);
  index.set_default_nprobe(options.default_nprobe);
  index.set_default_rerank(options.default_rerank);
  request.set_durability(ParseDurability(options.durability));
  request.set_metadata(options.metadata);
  return request;
}

// What --if-not-exists accepts: a collection that holds the same kind of vectors.
absl::Status CheckSameVectors(const v1::CreateCollectionRequest& request,
                              const v1::Collection& collection) {
  const bool same =
      request.dimension() == collection.dimension() &&
      (request.metric() == v1::METRIC_UNSPECIFIED || request.metric() == collection.metric()) &&
      (request.element_type() == v1::ELEMENT_TYPE_UNSPECIFIED ||
       request.element_type() == collection.element_type());
  if (same) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      "collection ", request.collection_name(), " exists with other vectors: dimension ",
      collection.dimension(), ", ", v1::Metric_Name(collection.metric()), ", ",
      v1::ElementType_Name(collection.element_type())));
}

absl::Status RunCreate(Context& context, const CreateOptions& options) {
  ASSIGN_OR_RETURN(const v1::CreateCollectionRequest request, MakeRequest(options));
  absl::StatusOr<v1::Collection> collection = context.client().CreateCollection(request);
  if (options.if_not_exists && absl::IsAlreadyExists(collection.status())) {
    collection = context.client().GetCollection(options.name);
    RETURN_IF_ERROR(collection.status());
    RETURN_IF_ERROR(CheckSameVectors(request, *collection));
  }
  RETURN_IF_ERROR(collection.status());
  PrintCollection(context, *collection);
  return absl::OkStatus();
}

absl::Status RunList(Context& context, const NameOptions&) {
  Json documents = Json::array();
  Table table({{"NAME"},
               {"POINTS", Align::kRight},
               {"DIMENSION", Align::kRight},
               {"METRIC"},
               {"TYPE"},
               {"STATE"},
               {"MEMORY", Align::kRight},
               {"DISK", Align::kRight}});
  v1::ListCollectionsRequest request;
  request.set_page_size(1000);
  do {
    ASSIGN_OR_RETURN(const v1::ListCollectionsResponse page,
                     context.client().ListCollections(request));
    for (const v1::Collection& c : page.collections()) {
      documents.push_back(ToJson(c));
      table.AddRow({c.collection_name(), FormatCount(c.points()), std::to_string(c.dimension()),
                    v1::Metric_Name(c.metric()), v1::ElementType_Name(c.element_type()),
                    v1::CollectionState_Name(c.state()), FormatBytes(c.memory_bytes()),
                    FormatBytes(c.disk_bytes())});
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.json()) {
    context.PrintJson(Json{{"collections", documents}});
  } else {
    context.out() << table.Render();
  }
  return absl::OkStatus();
}

absl::Status RunGet(Context& context, const NameOptions& options) {
  ASSIGN_OR_RETURN(const v1::Collection collection, context.client().GetCollection(options.name));
  PrintCollection(context, collection);
  return absl::OkStatus();
}

absl::Status RunDelete(Context& context, const NameOptions& options) {
  const absl::Status status = context.client().DeleteCollection(options.name);
  const bool absent = options.if_exists && absl::IsNotFound(status);
  if (!absent) RETURN_IF_ERROR(status);
  if (context.json()) {
    context.PrintJson(Json{{"collection_name", options.name}, {"deleted", !absent}});
  } else {
    context.out() << "collection " << options.name << (absent ? " does not exist\n" : " deleted\n");
  }
  return absl::OkStatus();
}

void AddCreate(CLI::App& group, Command& selected) {
  auto options = std::make_shared<CreateOptions>();
  CLI::App* create = AddCommand(
      group, "create", "Create a collection",
      "  tessera collection create words --dimension 128\n"
      "  tessera collection create photos --dimension 128 --metric l2 --element-type uint8 "
      "--vectors disk");
  create->add_option("name", options->name, "Name of the collection")->required();
  AddNumber(create, "--dimension", options->dimension, "Components of each vector", 1,
            limits::kDimensionMax)
      ->required();
  create->add_option("--metric", options->metric, "l2, ip or cosine; default: cosine")
      ->check(CLI::IsMember({"l2", "ip", "cosine"}));
  create
      ->add_option("--element-type", options->element_type,
                   "What stored vectors keep: float32, float16, uint8 or int8; default: float32")
      ->check(CLI::IsMember({"float32", "float16", "uint8", "int8"}));
  create
      ->add_option("--vectors", options->placement,
                   "Where reranking reads full vectors from: memory (fast), disk (small), or "
                   "disk_sq8: disk, with 8 bits a component in memory (nearly as fast)")
      ->check(CLI::IsMember({"memory", "disk", "disk_sq8"}));
  AddNumber(create, "--nlist", options->nlist, "Inverted lists; default: chosen at training");
  AddNumber(create, "--subquantizers", options->subquantizers,
            "Parts a vector is cut into for product quantization; default: chosen at "
            "training");
  AddNumber(create, "--nbits", options->nbits, "Bits of each part's code")
      ->check(CLI::IsMember({"4", "8"}));
  AddNumber(create, "--seed", options->seed, "Of training: same seed and data, same codebook");
  AddNumber(create, "--iterations", options->iterations, "Of k-means");
  AddNumber(create, "--training-vectors-per-list", options->training_vectors_per_list,
            "Vectors sampled for k-means");
  AddNumber(create, "--default-nprobe", options->default_nprobe,
            "Lists that searches probe, on average, if they do not say");
  AddNumber(create, "--default-rerank", options->default_rerank,
            "Candidates that a search reranks if it does not say");
  create->add_option("--durability", options->durability, "Of writes that name none")
      ->check(CLI::IsMember({"sync", "async"}));
  create->add_option("--metadata", options->metadata, "A JSON object for the collection's users");
  create->add_flag("--if-not-exists", options->if_not_exists,
                   "Succeed if it exists with the same dimension, metric and element type");
  Select(create, selected, options, RunCreate);
}

}  // namespace

void AddCollectionCommands(CLI::App& app, Command& selected) {
  CLI::App* group =
      app.add_subcommand("collection", "Create, list, show, change and delete collections");
  group->require_subcommand(1);
  AddCreate(*group, selected);

  CLI::App* list = AddCommand(*group, "list", "List the collections", "  tessera collection list");
  Select(list, selected, std::make_shared<NameOptions>(), RunList);

  auto get_options = std::make_shared<NameOptions>();
  CLI::App* get = AddCommand(*group, "get", "Show one collection",
                             "  tessera collection get words --output json");
  get->add_option("name", get_options->name, "Name of the collection")->required();
  Select(get, selected, get_options, RunGet);

  AddCollectionUpdate(*group, selected);
  AddCollectionLists(*group, selected);

  auto delete_options = std::make_shared<NameOptions>();
  CLI::App* remove = AddCommand(*group, "delete", "Delete a collection with all its points",
                                "  tessera collection delete words");
  remove->add_option("name", delete_options->name, "Name of the collection")->required();
  remove->add_flag("--if-exists", delete_options->if_exists, "Succeed if there is none");
  Select(remove, selected, delete_options, RunDelete);
}

}  // namespace tessera::cli
