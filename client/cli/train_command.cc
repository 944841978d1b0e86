// tessera train COLLECTION
#include <memory>

#include "CLI/CLI.hpp"
#include "client/cli/commands.h"
#include "client/cli/number_option.h"
#include "client/cli/operation_output.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct TrainOptions {
  std::string collection;
  bool wait = false;
  uint32_t nlist = 0;
  uint64_t seed = 0;
};

absl::Status RunTrain(Context& context, const TrainOptions& options) {
  v1::TrainRequest request;
  request.set_collection_name(options.collection);
  request.set_nlist(options.nlist);
  request.set_seed(options.seed);
  ASSIGN_OR_RETURN(const v1::Operation operation, context.client().Train(request));
  if (options.wait) return WatchAndPrint(context, operation.operation_id());
  PrintOperation(context, operation);
  if (!context.json()) {
    context.err() << "training goes on in the server; to follow it: tessera operation watch "
                  << operation.operation_id() << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddTrainCommand(CLI::App& app, Command& selected) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* train =
      AddCommand(app, "train", "Train a collection's codebook on its points and encode them",
                 "  tessera train words --wait\n"
                 "  tessera train photos --nlist 4096 --seed 7");
  train->add_option("collection", options->collection, "Collection to train")->required();
  train->add_flag("--wait", options->wait, "Show progress and return when it has ended");
  AddNumber(train, "--nlist", options->nlist,
            "Inverted lists; default: as the collection says, or chosen from its size", 1,
            limits::kListsMax);
  AddNumber(train, "--seed", options->seed, "Of training; default: as the collection says");
  Select(train, selected, options, RunTrain);
}

}  // namespace tessera::cli
