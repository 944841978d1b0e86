// tessera load COLLECTION FILE
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/chunk_builder.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/format.h"
#include "client/cli/interrupt.h"
#include "client/cli/number_option.h"
#include "client/cli/point_source.h"
#include "client/cli/progress.h"
#include "client/cli/query_source.h"
#include "client/cli/write_flags.h"
#include "client/cpp/error_details.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

struct LoadOptions {
  std::string collection, file, ids, id_type = "auto", payload, format;
  JsonPointFields fields;
  uint64_t batch = 10'000;
  uint64_t in_flight = 4;
  uint64_t start_row = 0;
  std::optional<uint64_t> limit;
  bool allow_truncated = false;
  WriteFlags write;
};

IdKind IdKindOf(const std::string& name) {
  if (name == "number") return IdKind::kNumber;
  return name == "string" ? IdKind::kString : IdKind::kAuto;
}

constexpr std::string_view kJsonLines = "jsonl";

bool IsJsonLines(const LoadOptions& options) {
  return options.format == kJsonLines ||
         (options.format.empty() && ExtensionOf(options.file) == kJsonLines);
}

// What goes with files of rows does not go with JSON Lines, and the other way round.
absl::Status CheckFormatOptions(const LoadOptions& options) {
  const bool json_lines = IsJsonLines(options);
  const auto refuse = [&](const char* option, const char* files) {
    return UsageError(absl::StrCat(option, ": is for ", files, ", and ", options.file,
                                   json_lines ? " is one" : " is none"));
  };
  const char* const without = "files that are not JSON Lines";
  if (json_lines && !options.ids.empty()) return refuse("--ids", without);
  if (json_lines && !options.payload.empty()) return refuse("--payload", without);
  if (json_lines && options.allow_truncated) return refuse("--allow-truncated", without);
  if (!json_lines && options.fields.id != JsonPointFields().id) {
    return refuse("--id-field", "JSON Lines");
  }
  if (!json_lines && !options.fields.vector.empty()) return refuse("--vector-field", "JSON Lines");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PointSource>> OpenPoints(const LoadOptions& options) {
  if (IsJsonLines(options)) return OpenJsonLines(options.file, options.fields);
  RowReaderOptions reader_options;
  reader_options.allow_truncated = options.allow_truncated;
  if (!options.format.empty()) {
    ASSIGN_OR_RETURN(reader_options.format, FileFormatFromName(options.format));
  }
  RowFiles files;
  ASSIGN_OR_RETURN(files.vectors, VectorReader::Open(options.file, reader_options));
  if (options.ids.empty()) {
    files.ids = MakeRowNumberIds();
  } else {
    ASSIGN_OR_RETURN(files.ids, OpenIdFile(options.ids, IdKindOf(options.id_type)));
  }
  if (!options.payload.empty()) {
    ASSIGN_OR_RETURN(files.payloads, PayloadSource::Open(options.payload));
  }
  return MakeRowFilesSource(std::move(files));
}

// Of a file of so many rows.
uint64_t RowsToLoad(const LoadOptions& options, uint64_t rows) {
  const uint64_t from_start = rows - std::min(rows, options.start_row);
  return std::min(from_start, options.limit.value_or(from_start));
}

absl::StatusOr<std::unique_ptr<ChunkBuilder>> MakeChunks(std::unique_ptr<PointSource> points,
                                                         const LoadOptions& options) {
  const uint64_t in_file = points->rows();
  const uint64_t rows = RowsToLoad(options, in_file);
  // Ids and payloads may be those of the rows that are lost, too.
  const bool check_ends = options.start_row + rows >= in_file && !points->cut_short();
  return ChunkBuilder::Create(std::move(points), options.start_row, rows, options.batch,
                              check_ends);
}

// What is added to the request id of the load to make that of the chunk that begins with `row`.
std::string ChunkSuffix(uint64_t row) { return absl::StrCat("/", row); }

// The last chunk's id, the longest, must fit: the load would fail in its middle.
absl::Status CheckRequestId(const LoadOptions& options, uint64_t rows_of_file) {
  const uint64_t rows = RowsToLoad(options, rows_of_file);
  if (options.write.request_id.empty() || rows == 0) return absl::OkStatus();
  const std::string suffix = ChunkSuffix(options.start_row + rows - 1);
  const size_t room = limits::kRequestIdBytesMax - suffix.size();
  if (options.write.request_id.size() <= room) return absl::OkStatus();
  return UsageError(absl::StrCat("--request-id: has ", options.write.request_id.size(),
                                 " bytes; this load has room for ", room, ", because up to '",
                                 suffix, "' is added for each message"));
}

// What was loaded, for people and for scripts.
struct LoadResult {
  uint64_t first_row = 0;
  uint64_t rows = 0;    // that there are to load
  uint64_t points = 0;  // acknowledged: rows first_row to first_row + points - 1
  double seconds = 0;
};

std::string Loaded(const LoadResult& result, const absl::Status& status) {
  if (result.points == 0) return "nothing was loaded";
  const uint64_t next = result.first_row + result.points;
  std::string text = absl::StrCat(FormatCount(result.points), " points were loaded (rows ",
                                  result.first_row, " to ", next - 1, ")");
  // Not if nothing is left to load, or nowhere to load it into.
  if (result.points < result.rows && !absl::IsNotFound(status)) {
    absl::StrAppend(&text, "; to go on: --start-row ", next);
  }
  return text;
}

// Sends chunk after chunk. On an error of any kind, what is in flight is still waited for, so that
// the result says exactly what the server acknowledged.
absl::Status SendAll(Context& context, const LoadOptions& options,
                     const InterruptWatcher& interrupt, ChunkBuilder& chunks, LoadResult* result) {
  const uint64_t first_row = chunks.next_row();
  const uint64_t total = chunks.end_row() - first_row;
  const absl::Time begin = absl::Now();
  ProgressBar progress(context.err(), context.columns());
  std::unique_ptr<BulkUpserter> upserter = context.client().StartBulkUpsert(
      {.collection_name = options.collection,
       .chunks_in_flight_max = options.in_flight,
       .acknowledgement_timeout = context.client().options().timeout});
  const std::string label = absl::StrCat("load ", options.collection);
  absl::Status status;
  uint64_t row = first_row;
  while (status.ok()) {
    progress.Update(label, "points", upserter->acknowledged_points(), total);
    if (interrupt.Interrupted()) {
      status = InterruptedError("interrupted");
      break;
    }
    v1::UpsertRequest request;
    absl::StatusOr<uint64_t> rows = chunks.Next(&request);
    if (!rows.ok()) status = InputFileError(rows.status());
    if (!rows.ok() || *rows == 0) break;
    request.set_durability(options.write.durability());
    if (!options.write.request_id.empty()) {
      request.set_request_id(options.write.request_id + ChunkSuffix(row));
    }
    row += *rows;
    status = upserter->Write(std::move(request));
  }
  const absl::Status finished = upserter->Finish();
  if (status.ok()) status = finished;
  *result = {first_row, total, upserter->acknowledged_points(),
             absl::ToDoubleSeconds(absl::Now() - begin)};
  progress.Update(label, "points", result->points, total);
  progress.Finish();
  return status;
}

Json ResultJson(const LoadOptions& options, const LoadResult& result) {
  return Json{{"collection_name", options.collection},
              {"file", options.file},
              {"first_row", result.first_row},
              {"points", result.points},
              {"seconds", result.seconds},
              {"points_per_second",
               result.seconds > 0 ? static_cast<double>(result.points) / result.seconds : 0}};
}

std::string_view Between(std::string_view text, std::string_view before, std::string_view after) {
  const size_t begin = text.find(before);
  if (begin == text.npos) return {};
  text.remove_prefix(begin + before.size());
  return text.substr(0, text.find(after));
}

// Which row of its chunk a refusal is about: the server says it of a field, "payloads[7]", and in
// words of a vector, "vectors: vector 7: component 3 is nan", and of an id, "ids: row 7 repeats".
std::optional<uint64_t> RowOfChunk(const absl::Status& status) {
  for (const ErrorDetails::FieldViolation& violation : GetErrorDetails(status).field_violations) {
    uint64_t row = 0;
    if (ParseUint64(Between(violation.field, "[", "]"), &row) ||
        ParseUint64(Between(violation.description, violation.field + ": vector ", ":"), &row) ||
        ParseUint64(Between(violation.description, violation.field + ": row ", " repeats"), &row)) {
      return row;
    }
  }
  return std::nullopt;
}

// Says what was loaded in the message of an error that ended a load.
absl::Status Explain(Context& context, const LoadOptions& options, const LoadResult& result,
                     const absl::Status& status) {
  if (status.ok()) return status;
  context.error_fields()["loaded"] = ResultJson(options, result);
  std::string message(status.message());
  if (ExitCodeOf(status) == ExitCode::kRefused) {
    // The chunk that was refused is the first that was not acknowledged.
    const uint64_t first = result.first_row + result.points;
    const std::optional<uint64_t> row = RowOfChunk(status);
    if (row.has_value()) context.error_fields()["row"] = first + *row;
    message = absl::StrCat(options.file, ": ",
                           row.has_value() ? absl::StrCat("row ", first + *row,
                                                          ", of the chunk from row ", first, " on,")
                                           : absl::StrCat("the chunk from row ", first, " on"),
                           " was refused: ", message);
  }
  return WithMessage(status, absl::StrCat(message, "; ", Loaded(result, status)));
}

absl::Status RunLoad(Context& context, const LoadOptions& options) {
  const InterruptWatcher interrupt;  // before the client's threads are started
  LoadResult result{.first_row = options.start_row};
  RETURN_IF_ERROR(CheckFormatOptions(options));
  absl::StatusOr<std::unique_ptr<PointSource>> points = OpenPoints(options);
  if (!points.ok()) return Explain(context, options, result, InputFileError(points.status()));
  RETURN_IF_ERROR(CheckRequestId(options, (*points)->rows()));
  ASSIGN_OR_RETURN(const v1::Collection collection,
                   context.client().GetCollection(options.collection));
  RETURN_IF_ERROR(CheckDimension((*points)->path(), (*points)->dimension(), collection));
  absl::StatusOr<std::unique_ptr<ChunkBuilder>> chunks = MakeChunks(*std::move(points), options);
  if (!chunks.ok()) return Explain(context, options, result, InputFileError(chunks.status()));
  RETURN_IF_ERROR(
      Explain(context, options, result, SendAll(context, options, interrupt, **chunks, &result)));
  if (context.json()) {
    context.PrintJson(ResultJson(options, result));
  } else {
    context.out() << "loaded " << FormatCount(result.points) << " points into "
                  << options.collection << " in " << FormatFixed(result.seconds, 1) << " s ("
                  << FormatRate(static_cast<double>(result.points) / result.seconds)
                  << " points/s)\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddLoadCommand(CLI::App& app, Command& selected) {
  auto options = std::make_shared<LoadOptions>();
  CLI::App* load = AddCommand(
      app, "load", "Load points from a file (.npy .jsonl .hdf5 .fvecs .bvecs .fbin .u8bin .i8bin)",
      "  tessera load words vectors.npy --payload payload.jsonl\n"
      "  tessera load words points.jsonl\n"
      "  tessera load photos sift-128-euclidean.hdf5\n"
      "  tessera load photos base.bvecs --ids ids.npy --batch 20000 --in-flight 8\n"
      "  tessera load photos base.bvecs --start-row 500000 --limit 100000\n\n"
      "A line of .jsonl is a point: its id, its vector, and what else it holds as payload. Of\n"
      "an .hdf5 file the dataset 'train' is loaded, or NAME of FILE.hdf5:NAME.\n"
      "Ids are row numbers from 0 unless the file or --ids gives others. Loading a point again "
      "replaces it, so\n"
      "a load that stopped can be repeated, or continued with --start-row.");
  load->add_option("collection", options->collection, "Collection to load into")->required();
  load->add_option("file", options->file, "File of points")->required();
  load->add_option(
      "--ids", options->ids,
      ".npy or .hdf5:NAME of integers, or a text file with one id a line; one per vector");
  load->add_option("--id-type", options->id_type,
                   "Kind of the ids in a text file; auto: as the first line looks")
      ->check(CLI::IsMember({"auto", "number", "string"}))
      ->capture_default_str();
  load->add_option("--payload", options->payload,
                   "JSON Lines file: an object a line per vector, an empty line for none");
  load->add_option("--format", options->format, "Format of FILE, if its extension does not say")
      ->check(CLI::IsMember({"npy", "jsonl", "fvecs", "bvecs", "fbin", "u8bin", "i8bin"}));
  load->add_option("--id-field", options->fields.id, "Of JSON Lines: the member that is the id")
      ->capture_default_str();
  load->add_option(
      "--vector-field", options->fields.vector,
      "Of JSON Lines: the member that is the vector; default: vector, embedding or values");
  AddNumber(load, "--batch", options->batch, "Points a message at most; fewer if they are large", 1,
            limits::kUpsertPointsMax)
      ->capture_default_str();
  AddNumber(load, "--in-flight", options->in_flight, "Messages sent ahead of their answers", 1, 64)
      ->capture_default_str();
  AddNumber(load, "--start-row", options->start_row, "First row to load")->capture_default_str();
  AddNumber(load, "--limit", options->limit, "Rows to load at most");
  AddWriteFlags(load, options->write,
                "A load repeated with the same id, file and batch writes no chunk twice");
  load->add_flag("--allow-truncated", options->allow_truncated,
                 "Load the whole rows of a file that is cut short");
  Select(load, selected, options, RunLoad);
}

}  // namespace tessera::cli
