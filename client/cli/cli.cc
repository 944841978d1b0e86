#include "client/cli/cli.h"

#include <algorithm>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/context.h"
#include "client/cli/exit_code.h"
#include "client/cpp/error_details.h"

namespace tessera::cli {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  tessera collection create photos --dimension 128 --metric l2 --element-type uint8\n"
    "  tessera load photos base.bvecs\n"
    "  tessera train photos --wait\n"
    "  tessera search photos --queries query.bvecs --rows 0:5\n"
    "  tessera eval photos --queries query.bvecs --groundtruth groundtruth.ivecs "
    "--nprobe 8,32,128\n\n";

void AddGlobalOptions(CLI::App& app, GlobalOptions& options) {
  AddConnectionOptions(app, options);
  app.add_option("--output", options.output,
                 "table: for people; json: one JSON document on standard output")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("--timeout", options.timeout_s, "Seconds to wait for each answer")
      ->check(CLI::Range(0.001, 1e9))
      ->capture_default_str();
  app.set_version_flag("--version", "tessera " TESSERA_VERSION,
                       "Print the version of this program");
}

// What of the command line nothing has taken. An unknown sub-command would otherwise be reported as
// a missing one.
absl::Status CheckNothingRemains(const CLI::App& app) {
  const std::vector<std::string> words = app.remaining(/*recurse=*/true);
  if (words.empty()) return absl::OkStatus();
  const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  const bool is_group = !command->get_subcommands([](const CLI::App*) { return true; }).empty();
  // The options of a command that does not exist are no less right than it is.
  if (is_group && !is_option(words.front())) {
    return UsageError(
        absl::StrCat("unknown command '", words.front(), "'; tessera --help lists them"));
  }
  // What follows an unknown option may be its value.
  const auto option = std::find_if(words.begin(), words.end(), is_option);
  if (option != words.end()) return UsageError(absl::StrCat("unknown option '", *option, "'"));
  return UsageError(absl::StrCat("unexpected argument '", words.front(), "'"));
}

// Whether the output is to be JSON, for a command line that did not parse.
bool WantsJson(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--output=json") return true;
    if (arguments[i] == "--output" && i + 1 < arguments.size() && arguments[i + 1] == "json") {
      return true;
    }
  }
  return false;
}

Json ErrorJson(const absl::Status& status, const Json& extra) {
  const ErrorDetails details = GetErrorDetails(status);
  Json error = {{"code", absl::StatusCodeToString(status.code())},
                {"message", std::string(status.message())},
                {"exit_code", static_cast<int>(ExitCodeOf(status))}};
  if (!details.reason.empty()) error["reason"] = details.reason;
  for (const auto& violation : details.field_violations) {
    error["fields"].push_back({{"field", violation.field}, {"description", violation.description}});
  }
  if (details.retry_delay.has_value()) {
    error["retry_delay_s"] = absl::ToDoubleSeconds(*details.retry_delay);
  }
  error.update(extra);
  return Json{{"error", error}};
}

void PrintError(Context& context, const absl::Status& status) {
  // The report of damage is the command's one document.
  if (context.json() && ExitCodeOf(status) != ExitCode::kDamaged)
    context.PrintJson(ErrorJson(status, context.error_fields()));
  std::ostream& err = context.err();
  err << "tessera: " << status.message();
  if (ExitCodeOf(status) == ExitCode::kUnavailable) {
    err << " (server " << context.options().server << ")";
  }
  err << "\n";
  const ErrorDetails details = GetErrorDetails(status);
  if (!details.reason.empty()) err << "  reason: " << details.reason << "\n";
  for (const auto& violation : details.field_violations) {
    if (absl::StrContains(status.message(), violation.description)) continue;  // said already
    err << "  field " << violation.field << ": " << violation.description << "\n";
  }
}

// Prints an error, if it is one, and sees to it that everything printed has arrived.
int End(Context& context, absl::Status status) {
  if (!status.ok()) PrintError(context, status);
  context.out().flush();
  if (!context.out().good()) {
    const absl::Status lost = absl::UnknownError("cannot write to standard output");
    PrintError(context, lost);
    if (status.ok()) status = lost;
  }
  return static_cast<int>(ExitCodeOf(status));
}

// Ends a command line that did not parse, or that asks for --help or --version.
int EndParse(const CLI::App& app, const CLI::ParseError& error, Context& context) {
  const bool of_command = !app.get_subcommands().empty();
  if (error.get_name() == "CallForVersion" && of_command) {
    // Some commands have a version as an argument: it must not pass for one.
    return End(context, UsageError("--version is no option of this command"));
  }
  if (error.get_exit_code() == 0) {
    app.exit(error, context.out(), context.err());
    return End(context, absl::OkStatus());
  }
  absl::Status status = CheckNothingRemains(app);
  if (status.ok()) status = UsageError(error.what());
  const int code = End(context, status);
  if (!context.json()) context.err() << "Run with --help for more information.\n";
  return code;
}

}  // namespace

CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                     const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer(absl::StrCat("Examples:\n", examples));
  return command;
}

int RunCli(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
           size_t columns) {
  CLI::App app("tessera: admin client of the Tessera vector search server.", "tessera");
  GlobalOptions options;
  Command selected;
  app.fallthrough();  // global options may also follow the sub-command
  app.require_subcommand(1);
  app.footer(absl::StrCat(kExamples, kExitCodesHelp));
  AddGlobalOptions(app, options);
  AddCollectionCommands(app, selected);
  AddLoadCommand(app, selected);
  AddTrainCommand(app, selected);
  AddCalibrateCommand(app, selected);
  AddSearchCommand(app, selected);
  AddEvalCommand(app, selected);
  AddPointsCommands(app, selected);
  AddAliasCommands(app, selected);
  AddIndexCommands(app, selected);
  AddCodebookCommands(app, selected);
  AddSnapshotCommands(app, selected);
  AddOperationCommands(app, selected);
  AddFsckCommand(app, selected);
  AddHealthCommands(app, selected);
  try {
    // CLI11 takes the arguments last first.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    options.output = WantsJson(arguments) ? "json" : "table";
    Context context(options, ClientOptions(), out, err, columns);
    return EndParse(app, error, context);
  }
  const absl::StatusOr<ClientOptions> client_options = ToClientOptions(options);
  Context context(options, client_options.value_or(ClientOptions()), out, err, columns);
  return End(context, client_options.ok() ? selected(context) : client_options.status());
}

}  // namespace tessera::cli
