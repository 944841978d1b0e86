// tessera eval COLLECTION
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/commands.h"
#include "client/cli/evaluation.h"
#include "client/cli/exit_code.h"
#include "client/cli/files/id_source.h"
#include "client/cli/format.h"
#include "client/cli/losses.h"
#include "client/cli/number_option.h"
#include "client/cli/progress.h"
#include "client/cli/table.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr uint64_t kWarmupQueries = 50;

struct EvalOptions {
  std::string collection, queries, groundtruth, rows;
  std::vector<std::string> nprobe, recall;
  uint32_t limit = 100, rerank = 0;
  uint64_t batch = 0, threads = 1;
  bool exact = false, no_rerank = false, losses = false;
};

// One row of the table: a name for it and how its queries are searched.
struct EvalRow {
  std::string name;
  EvaluationPlan plan;
};

absl::StatusOr<std::vector<EvalRow>> MakeRows(const EvalOptions& options) {
  EvaluationPlan plan;
  plan.request.set_collection_name(options.collection);
  plan.request.set_limit(options.limit);
  plan.request.mutable_params()->set_rerank(options.rerank);
  plan.request.mutable_params()->set_no_rerank(options.no_rerank);
  plan.threads = options.threads;
  plan.batch = options.batch;
  plan.warmup = kWarmupQueries;
  std::vector<EvalRow> rows;
  for (const std::string& name : options.nprobe) {
    uint64_t nprobe = 0;
    if (name != "default" &&
        (!ParseUint64(name, &nprobe) || nprobe < 1 || nprobe > limits::kListsMax)) {
      return UsageError(absl::StrCat("--nprobe: '", name, "' is neither a number from 1 to ",
                                     limits::kListsMax, " nor 'default'"));
    }
    rows.push_back({name, plan});
    rows.back().plan.request.mutable_params()->set_nprobe(static_cast<uint32_t>(nprobe));
  }
  for (const std::string& text : options.recall) {
    double recall = 0;
    if (!absl::SimpleAtod(text, &recall)) {
      return UsageError(absl::StrCat("--recall: '", text, "' is not a number"));
    }
    rows.push_back({absl::StrCat("recall ", text), plan});
    rows.back().plan.request.mutable_params()->set_target_recall(recall);
  }
  if (rows.empty() && !options.exact) rows.push_back({"default", plan});
  if (options.exact) {
    rows.push_back({"exact", plan});
    v1::SearchParams& params = *rows.back().plan.request.mutable_params();
    params.Clear();
    params.set_exact(true);
  }
  return rows;
}

std::string RecallHeading(size_t depth) { return absl::StrCat("RECALL@", kRecallDepths[depth]); }

Table MakeTable(const EvalOptions& options) {
  std::vector<Table::Column> columns = {{"NPROBE", Align::kRight}};
  for (size_t i = 0; i < kRecallDepths.size(); ++i) {
    columns.push_back({RecallHeading(i), Align::kRight});
  }
  columns.push_back({"QPS", Align::kRight});
  columns.push_back({"P50 MS", Align::kRight});
  columns.push_back({"P99 MS", Align::kRight});
  if (options.batch > 0) {
    columns.push_back({absl::StrCat("QPS, BATCHES OF ", options.batch), Align::kRight});
  }
  if (options.losses) {
    columns.push_back({"LOST BY LISTS", Align::kRight});
    columns.push_back({"BY CODES", Align::kRight});
    columns.push_back({"OTHERWISE", Align::kRight});
  }
  return Table(std::move(columns));
}

void AddToTable(const std::string& name, const EvaluationResult& result,
                const std::optional<Losses>& losses, Table& table) {
  std::vector<std::string> cells = {name};
  for (const auto& recall : result.recall) {
    cells.push_back(recall.has_value() ? FormatFixed(*recall, 4) : "-");
  }
  cells.push_back(FormatRate(result.qps));
  cells.push_back(FormatFixed(result.p50_ms, 2));
  cells.push_back(FormatFixed(result.p99_ms, 2));
  if (result.batch_qps.has_value()) cells.push_back(FormatRate(*result.batch_qps));
  if (losses.has_value()) {
    for (const double share : {losses->lists, losses->codes, losses->other}) {
      cells.push_back(FormatFixed(share, 4));
    }
  }
  table.AddRow(std::move(cells));
}

Json ToJson(const EvalRow& row, const EvaluationResult& result,
            const std::optional<Losses>& losses) {
  Json json{{"name", row.name},
            {"nprobe", row.plan.request.params().nprobe()},
            {"exact", row.plan.request.params().exact()}};
  if (row.plan.request.params().has_target_recall()) {
    json["target_recall"] = row.plan.request.params().target_recall();
  }
  for (size_t i = 0; i < kRecallDepths.size(); ++i) {
    json[absl::StrCat("recall_at_", kRecallDepths[i])] =
        result.recall[i].has_value() ? Json(*result.recall[i]) : Json();
  }
  json["qps"] = result.qps;
  json["p50_ms"] = result.p50_ms;
  json["p99_ms"] = result.p99_ms;
  if (result.batch_qps.has_value()) json["batch_qps"] = *result.batch_qps;
  if (losses.has_value()) {
    json["losses"] = Json{{"k", losses->k},
                          {"lists", losses->lists},
                          {"codes", losses->codes},
                          {"other", losses->other}};
  }
  return json;
}

// Of the largest k that a column has.
size_t DepthOfLosses(const EvaluationResult& result) {
  size_t k = 1;
  for (size_t i = 0; i < kRecallDepths.size(); ++i) {
    if (result.recall[i].has_value()) k = kRecallDepths[i];
  }
  return k;
}

absl::Status CheckGroundTruth(const EvalOptions& options, const QuerySet& queries,
                              const GroundTruth& truth) {
  const uint64_t end = queries.first_row + queries.rows;
  if (truth.queries >= end) return absl::OkStatus();
  return InputFileError(absl::InvalidArgumentError(
      absl::StrCat(options.groundtruth, ": ", truth.queries, " rows, but ", options.queries,
                   " is searched up to row ", end - 1)));
}

absl::Status RunEval(Context& context, const EvalOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<EvalRow> rows, MakeRows(options));
  RowRange range;
  if (!options.rows.empty()) {
    ASSIGN_OR_RETURN(range, ParseRowRange(options.rows));
  }
  ASSIGN_OR_RETURN(const QuerySet queries, ReadQueries(options.queries, range));
  const absl::StatusOr<GroundTruth> truth = ReadGroundTruth(options.groundtruth);
  if (!truth.ok()) return InputFileError(truth.status());
  RETURN_IF_ERROR(CheckGroundTruth(options, queries, *truth));
  ASSIGN_OR_RETURN(const v1::Collection collection,
                   context.client().GetCollection(options.collection));
  RETURN_IF_ERROR(CheckDimension(options.queries, queries.dimension, collection));

  Table table = MakeTable(options);
  Json documents = Json::array();
  const uint64_t total = queries.rows * (options.batch > 0 ? 2 : 1);
  ProgressBar progress(context.err(), context.columns());
  for (const EvalRow& row : rows) {
    const bool asks = row.plan.request.params().has_target_recall();
    const std::string label = absl::StrCat(asks ? "eval " : "eval nprobe ", row.name);
    const absl::StatusOr<EvaluationResult> result =
        Evaluate(context.client(), row.plan, queries, *truth,
                 [&](uint64_t done) { progress.Update(label, "queries", done, total); });
    absl::StatusOr<std::optional<Losses>> losses = std::nullopt;
    if (result.ok() && options.losses) {
      losses = MeasureLosses(context.client(), row.plan.request, queries, *truth, result->found,
                             DepthOfLosses(*result), [&](uint64_t done, uint64_t of) {
                               progress.Update(label + ", losses", "queries", done, of);
                             });
    }
    if (!result.ok() || !losses.ok()) {
      progress.Finish();
      return result.ok() ? losses.status() : result.status();
    }
    AddToTable(row.name, *result, *losses, table);
    documents.push_back(ToJson(row, *result, *losses));
  }
  progress.Finish();
  if (context.json()) {
    context.PrintJson(Json{{"collection_name", options.collection},
                           {"queries", queries.rows},
                           {"limit", options.limit},
                           {"threads", options.threads},
                           {"batch", options.batch},
                           {"rows", documents}});
  } else {
    context.out() << FormatCount(queries.rows) << " queries, limit " << options.limit << ", "
                  << options.threads << (options.threads == 1 ? " thread" : " threads")
                  << ", one query a request\n"
                  << table.Render();
  }
  return absl::OkStatus();
}

}  // namespace

void AddEvalCommand(CLI::App& app, Command& selected) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* eval = AddCommand(
      app, "eval", "Measure recall, throughput and latency against ground truth",
      "  tessera eval words --queries queries.npy --groundtruth groundtruth.ivecs\n"
      "  tessera eval photos --queries query.bvecs --groundtruth groundtruth.ivecs "
      "--nprobe 8,32,128 --exact --batch 100\n\n"
      "recall@k is the share of the true k nearest that are among the first k returned. Row i of\n"
      "the ground truth holds the row numbers of query i's nearest: points must have been loaded\n"
      "with row numbers as ids. Times are taken at this client.\n\n"
      "With --losses, what is missing of the deepest recall is searched for twice more: in the "
      "same\n"
      "lists, with all that they hold as candidates (lost by codes: more --rerank finds it), and\n"
      "exactly (lost by lists: more --nprobe finds it). What exact search misses as well is lost\n"
      "otherwise: equally far, or not as the ground truth has it.");
  eval->add_option("collection", options->collection, "Collection to search")->required();
  eval->add_option("--queries", options->queries, "File of query vectors")->required();
  eval->add_option("--groundtruth", options->groundtruth,
                   "File of true neighbours (.ivecs .ibin .npy .hdf5)")
      ->required();
  eval->add_option("--rows", options->rows, "Queries to use, e.g. 0:1000");
  eval->add_option("--nprobe", options->nprobe,
                   "List of numbers of inverted lists to search, on average; 'default': the "
                   "server's choice")
      ->delimiter(',')
      ->allow_extra_args(false);
  eval->add_option(
          "--recall", options->recall,
          "List of recalls to ask for, e.g. 0.9,0.95: the server chooses how deep to search")
      ->delimiter(',')
      ->allow_extra_args(false);
  eval->add_flag("--exact", options->exact, "Add a row that compares with every vector");
  AddNumber(eval, "--limit", options->limit, "Neighbours asked for", 1, limits::kSearchLimitMax)
      ->capture_default_str();
  AddNumber(eval, "--rerank", options->rerank,
            "Candidates whose full vectors are compared; default: the server's");
  eval->add_flag("--no-rerank", options->no_rerank, "Score by the codes alone");
  eval->add_flag("--losses", options->losses,
                 "Tell which step of the search lost the neighbours that were not found");
  AddNumber(eval, "--batch", options->batch, "Also measure with this many queries a request", 1,
            limits::kSearchQueriesMax);
  AddNumber(eval, "--threads", options->threads, "Requests at the same time", 1, 256)
      ->capture_default_str();
  Select(eval, selected, options, RunEval);
}

}  // namespace tessera::cli
