// tessera codebook list|get|export|import|activate|delete
#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/files/raw_file.h"
#include "client/cli/format.h"
#include "client/cli/messages.h"
#include "client/cli/number_option.h"
#include "client/cli/operation_output.h"
#include "client/cli/output_file.h"
#include "client/cli/table.h"
#include "client/cpp/error_details.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"

namespace tessera::cli {
namespace {

constexpr uint64_t kImportChunkBytes = 1 << 20;
// The server's reason for what is no codebook; damage of its own store has other reasons.
constexpr char kBytesDamaged[] = "DATA_LOSS";

struct CodebookOptions {
  std::string collection, file;
  uint32_t version = 0;
  bool wait = false;
};

absl::Status RunList(Context& context, const CodebookOptions& options) {
  ASSIGN_OR_RETURN(const v1::ListCodebooksResponse response,
                   context.client().ListCodebooks(options.collection));
  if (context.json()) {
    Json codebooks = Json::array();
    for (const v1::Codebook& codebook : response.codebooks()) {
      codebooks.push_back(ToJson(codebook));
    }
    context.PrintJson(Json{{"codebooks", codebooks}});
    return absl::OkStatus();
  }
  Table table({{"VERSION", Align::kRight},
               {"CURRENT"},
               {"NLIST", Align::kRight},
               {"M x BITS", Align::kRight},
               {"CODE", Align::kRight},
               {"TRAINED ON", Align::kRight},
               {"MSE", Align::kRight},
               {"SIZE", Align::kRight},
               {"HASH"},
               {"CREATED"}});
  for (const v1::Codebook& c : response.codebooks()) {
    table.AddRow({std::to_string(c.version()), c.current() ? "yes" : "", FormatCount(c.nlist()),
                  absl::StrCat(c.subquantizers(), " x ", c.nbits()), FormatBytes(c.code_bytes()),
                  FormatCount(c.training_vectors()), absl::StrCat(c.mean_squared_error()),
                  FormatBytes(c.size_bytes()), c.content_hash(), ToText(c.create_time())});
  }
  context.out() << table.Render();
  return absl::OkStatus();
}

void PrintCodebook(Context& context, const v1::Codebook& codebook) {
  if (context.json()) return context.PrintJson(ToJson(codebook));
  Table table({{"FIELD"}, {"VALUE"}});
  table.AddRow({"collection", codebook.collection_name()});
  table.AddRow(
      {"version", absl::StrCat(codebook.version(), codebook.current() ? " (current)" : "")});
  table.AddRow({"dimension", std::to_string(codebook.dimension())});
  table.AddRow({"metric", v1::Metric_Name(codebook.metric())});
  table.AddRow({"nlist", FormatCount(codebook.nlist())});
  table.AddRow(
      {"subquantizers", absl::StrCat(codebook.subquantizers(), " x ", codebook.nbits(), " bits")});
  table.AddRow({"code", FormatBytes(codebook.code_bytes())});
  table.AddRow({"trained on", absl::StrCat(FormatCount(codebook.training_vectors()), " vectors")});
  table.AddRow({"mean squared error", absl::StrCat(codebook.mean_squared_error())});
  table.AddRow({"size", FormatBytes(codebook.size_bytes())});
  table.AddRow({"hash", codebook.content_hash()});
  table.AddRow({"created", ToText(codebook.create_time())});
  context.out() << table.Render();
}

absl::Status RunGet(Context& context, const CodebookOptions& options) {
  ASSIGN_OR_RETURN(const v1::Codebook codebook,
                   context.client().GetCodebook(options.collection, options.version));
  PrintCodebook(context, codebook);
  return absl::OkStatus();
}

absl::Status RunExport(Context& context, const CodebookOptions& options) {
  const absl::StatusOr<std::unique_ptr<OutputFile>> file = OutputFile::Create(options.file);
  if (!file.ok()) return OutputFileError(file.status());
  uint64_t bytes = 0;
  RETURN_IF_ERROR(context.client().ExportCodebook(options.collection, options.version,
                                                  [&](std::string_view chunk) {
                                                    bytes += chunk.size();
                                                    return OutputFileError((*file)->Append(chunk));
                                                  }));
  RETURN_IF_ERROR(OutputFileError((*file)->Commit()));
  if (context.json()) {
    context.PrintJson(
        Json{{"collection_name", options.collection}, {"file", options.file}, {"bytes", bytes}});
  } else {
    context.out() << "codebook of " << options.collection << " written to " << options.file << " ("
                  << FormatBytes(bytes) << ")\n";
  }
  return absl::OkStatus();
}

absl::Status RunImport(Context& context, const CodebookOptions& options) {
  const absl::StatusOr<std::unique_ptr<RawFile>> file = RawFile::Open(options.file);
  if (!file.ok()) return InputFileError(file.status());
  if ((*file)->size() > limits::kCodebookBytesMax) {
    return InputFileError(absl::InvalidArgumentError(
        absl::StrCat(options.file, ": ", (*file)->size(), " bytes are over the limit of ",
                     limits::kCodebookBytesMax)));
  }
  uint64_t offset = 0;
  const auto source = [&]() -> absl::StatusOr<std::string> {
    std::string chunk;
    const uint64_t bytes = std::min(kImportChunkBytes, (*file)->size() - offset);
    const absl::Status read = (*file)->Read(offset, bytes, &chunk);
    if (!read.ok()) return InputFileError(read);
    offset += bytes;
    return chunk;
  };
  const absl::StatusOr<v1::Operation> operation =
      context.client().ImportCodebook(options.collection, source);
  if (GetErrorDetails(operation.status()).reason == kBytesDamaged) {
    return InputFileError(WithMessage(
        operation.status(), absl::StrCat(options.file, ": ", operation.status().message())));
  }
  RETURN_IF_ERROR(operation.status());
  if (options.wait) return WatchAndPrint(context, operation->operation_id());
  PrintOperation(context, *operation);
  return absl::OkStatus();
}

absl::Status RunActivate(Context& context, const CodebookOptions& options) {
  ASSIGN_OR_RETURN(const v1::Operation operation,
                   context.client().ActivateCodebook(options.collection, options.version));
  if (options.wait) return WatchAndPrint(context, operation.operation_id());
  PrintOperation(context, operation);
  return absl::OkStatus();
}

absl::Status RunDelete(Context& context, const CodebookOptions& options) {
  RETURN_IF_ERROR(context.client().DeleteCodebook(options.collection, options.version));
  if (context.json()) {
    context.PrintJson(
        Json{{"collection_name", options.collection}, {"deleted_version", options.version}});
  } else {
    context.out() << "codebook " << options.version << " of " << options.collection << " deleted\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddCodebookCommands(CLI::App& app, Command& selected) {
  CLI::App* group =
      app.add_subcommand("codebook", "List, show, export, import, switch and delete codebooks");
  group->require_subcommand(1);
  const auto add = [&](const char* name, const char* description, const char* examples, auto run) {
    auto options = std::make_shared<CodebookOptions>();
    CLI::App* command = AddCommand(*group, name, description, examples);
    command->add_option("collection", options->collection, "Collection of the codebook")
        ->required();
    Select(command, selected, options, run);
    return std::pair(command, options);
  };
  add("list", "List the codebooks of a collection", "  tessera codebook list words", RunList);
  const auto [get, get_options] =
      add("get", "Show one codebook", "  tessera codebook get words --version 2", RunGet);
  AddNumber(get, "--version", get_options->version, "Default: the current one");
  const auto [save, save_options] = add("export", "Write a codebook to a file",
                                        "  tessera codebook export words words.tcb", RunExport);
  save->add_option("file", save_options->file, "File to write")->required();
  AddNumber(save, "--version", save_options->version, "Default: the current one");
  const auto [load, load_options] =
      add("import", "Install a codebook from a file and encode the points with it",
          "  tessera codebook import other words.tcb --wait", RunImport);
  load->add_option("file", load_options->file, "File that export wrote")->required();
  load->add_flag("--wait", load_options->wait, "Show progress and return when it has ended");
  const auto [activate, activate_options] =
      add("activate", "Encode the points with a kept codebook and switch to it",
          "  tessera codebook activate words 1 --wait", RunActivate);
  AddNumber(activate, "version", activate_options->version, "As list shows it")->required();
  activate->add_flag("--wait", activate_options->wait,
                     "Show progress and return when it has ended");
  const auto [remove, remove_options] =
      add("delete", "Delete a codebook that is not the current one",
          "  tessera codebook delete words 1", RunDelete);
  AddNumber(remove, "version", remove_options->version, "As list shows it")->required();
}

}  // namespace tessera::cli
