#include "client/cli/write_flags.h"

#include "CLI/CLI.hpp"
#include "client/cli/messages.h"

namespace tessera::cli {

v1::Durability WriteFlags::durability() const { return ParseDurability(durability_name); }

void AddWriteFlags(CLI::App* command, WriteFlags& flags, const std::string& request_id_help) {
  command
      ->add_option("--durability", flags.durability_name,
                   "sync: acknowledged once on disk; async: sooner, a power cut may lose the last "
                   "moments; default: as the collection says")
      ->check(CLI::IsMember({"sync", "async"}));
  command->add_option("--request-id", flags.request_id, request_id_help);
}

}  // namespace tessera::cli
