#ifndef TESSERA_CLIENT_CLI_FILTER_EXPRESSION_H_
#define TESSERA_CLIENT_CLI_FILTER_EXPRESSION_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "tessera/v1/filters.pb.h"

namespace tessera::cli {

// A filter from text such as: category = "animal" and (senses > 2 or not tags in ("old", "rare")).
// README.md has the grammar. INVALID_ARGUMENT says what is wrong and at which character.
absl::StatusOr<v1::Filter> ParseFilter(std::string_view text);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILTER_EXPRESSION_H_
