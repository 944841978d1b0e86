#ifndef TESSERA_CLIENT_CLI_COMMANDS_H_
#define TESSERA_CLIENT_CLI_COMMANDS_H_

#include <string>

#include "CLI/App.hpp"
#include "client/cli/context.h"

// One function for each group of sub-commands, each in a file of its own. It adds the group to
// `app`; parsing a command line then leaves what is to run in `selected`.
namespace tessera::cli {

void AddCollectionCommands(CLI::App& app, Command& selected);
void AddLoadCommand(CLI::App& app, Command& selected);
void AddTrainCommand(CLI::App& app, Command& selected);
void AddCalibrateCommand(CLI::App& app, Command& selected);
void AddSearchCommand(CLI::App& app, Command& selected);
void AddEvalCommand(CLI::App& app, Command& selected);
void AddPointsCommands(CLI::App& app, Command& selected);
void AddCodebookCommands(CLI::App& app, Command& selected);
void AddAliasCommands(CLI::App& app, Command& selected);
void AddIndexCommands(CLI::App& app, Command& selected);
void AddSnapshotCommands(CLI::App& app, Command& selected);
void AddOperationCommands(CLI::App& app, Command& selected);
void AddFsckCommand(CLI::App& app, Command& selected);
void AddHealthCommands(CLI::App& app, Command& selected);

// A sub-command with its examples below its options.
CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                     const std::string& examples);

// Makes `command` the sub-command that runs `run` with the options it has parsed into `options`, a
// shared pointer.
template <typename Options, typename Run>
void Select(CLI::App* command, Command& selected, Options options, Run run) {
  command->callback([&selected, options, run] {
    selected = [options, run](Context& context) { return run(context, *options); };
  });
}

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_COMMANDS_H_
