// tessera calibrate COLLECTION
#include <memory>

#include "CLI/CLI.hpp"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/operation_output.h"
#include "client/cli/query_source.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct CalibrateOptions {
  std::string collection, queries, rows;
  bool wait = false;
};

absl::Status RunCalibrate(Context& context, const CalibrateOptions& options) {
  v1::CalibrateRequest request;
  request.set_collection_name(options.collection);
  RowRange range;
  if (!options.rows.empty()) {
    if (options.queries.empty()) return UsageError("--rows goes with --queries");
    ASSIGN_OR_RETURN(range, ParseRowRange(options.rows));
  }
  if (!options.queries.empty()) {
    ASSIGN_OR_RETURN(const QuerySet queries, ReadQueries(options.queries, range));
    ASSIGN_OR_RETURN(const v1::Collection collection,
                     context.client().GetCollection(options.collection));
    RETURN_IF_ERROR(CheckDimension(options.queries, queries.dimension, collection));
    *request.mutable_queries() = queries.Slice(0, queries.rows);
  }
  ASSIGN_OR_RETURN(const v1::Operation operation, context.client().Calibrate(request));
  if (options.wait) return WatchAndPrint(context, operation.operation_id());
  PrintOperation(context, operation);
  return absl::OkStatus();
}

}  // namespace

void AddCalibrateCommand(CLI::App& app, Command& selected) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* calibrate = AddCommand(
      app, "calibrate", "Measure how deep searches must go for the recall that they ask for",
      "  tessera calibrate words --queries queries.npy --wait\n"
      "  tessera collection get words\n"
      "  tessera search words --id 20656 --recall 0.95\n\n"
      "Training does it too, with points of the collection as queries; queries like those that\n"
      "searches will have tell more. Their true neighbours are found by the server.");
  calibrate->add_option("collection", options->collection, "Collection to calibrate")->required();
  calibrate->add_option("--queries", options->queries,
                        "File of query vectors; default: points of the collection");
  calibrate->add_option("--rows", options->rows, "Queries to use, e.g. 0:1000");
  calibrate->add_flag("--wait", options->wait, "Show progress and return when it has ended");
  Select(calibrate, selected, options, RunCalibrate);
}

}  // namespace tessera::cli
