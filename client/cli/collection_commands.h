#ifndef TESSERA_CLIENT_CLI_COLLECTION_COMMANDS_H_
#define TESSERA_CLIENT_CLI_COLLECTION_COMMANDS_H_

#include "CLI/App.hpp"
#include "client/cli/context.h"
#include "tessera/v1/collections.pb.h"

// What the files of "tessera collection" share.
namespace tessera::cli {

// As a table, or as a document.
void PrintCollection(Context& context, const v1::Collection& collection);

// Add their sub-command to the group.
void AddCollectionUpdate(CLI::App& group, Command& selected);
void AddCollectionLists(CLI::App& group, Command& selected);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_COLLECTION_COMMANDS_H_
