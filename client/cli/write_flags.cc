#include "client/cli/write_flags.h"

#include "CLI/CLI.hpp"

namespace tessera::cli {

v1::Durability WriteFlags::durability() const {
  return durability_name == "async" ? v1::ASYNC : v1::SYNC;
}

void AddWriteFlags(CLI::App* command, WriteFlags& flags, const std::string& request_id_help) {
  command
      ->add_option("--durability", flags.durability_name,
                   "sync: acknowledged once on disk; async: sooner, a power cut may lose the last "
                   "moments")
      ->check(CLI::IsMember({"sync", "async"}))
      ->capture_default_str();
  command->add_option("--request-id", flags.request_id, request_id_help);
}

}  // namespace tessera::cli
