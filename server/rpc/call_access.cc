#include "server/rpc/call_access.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/engine/errors.h"

namespace tessera {
namespace {

// They change nothing and start nothing.
constexpr auto kReadMethods = std::to_array<std::string_view>({
    "Codebooks.Decode",
    "Codebooks.Encode",
    "Codebooks.Export",
    "Codebooks.Get",
    "Codebooks.List",
    "Collections.Get",
    "Collections.GetListStatistics",
    "Collections.List",
    "Collections.ListAliases",
    "Operations.Get",
    "Operations.List",
    "Operations.Watch",
    "Points.Count",
    "Points.Facet",
    "Points.Get",
    "Points.Scroll",
    "Points.Search",
    "Points.SearchBatch",
    "Points.SearchGroups",
    "Points.SearchRange",
    "Points.SearchStream",
    "ServerReflection.ServerReflectionInfo",
    "Snapshots.Get",
    "Snapshots.List",
});
static_assert(std::is_sorted(kReadMethods.begin(), kReadMethods.end()));

// Empty if there is none. Of several of one name gRPC's clients send all; the first counts.
std::string_view MetadataOf(const grpc::CallbackServerContext& context, const char* name) {
  const auto& metadata = context.client_metadata();
  const auto at = metadata.find(name);
  if (at == metadata.end()) return {};
  return {at->second.data(), at->second.size()};
}

std::string_view KeyOf(const grpc::CallbackServerContext& context) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view authorization = MetadataOf(context, "authorization");
  if (absl::StartsWithIgnoreCase({authorization.data(), authorization.size()},
                                 {kScheme.data(), kScheme.size()})) {
    return authorization.substr(kScheme.size());
  }
  return MetadataOf(context, "api-key");
}

}  // namespace

Access AccessNeeded(std::string_view method) {
  return std::binary_search(kReadMethods.begin(), kReadMethods.end(), method) ? Access::kRead
                                                                              : Access::kWrite;
}

absl::Status CheckAccess(const Secrets& secrets, std::string_view method,
                         const grpc::CallbackServerContext& context) {
  if (!secrets.needs_key()) return absl::OkStatus();
  const std::string_view key = KeyOf(context);
  if (key.empty()) {
    return ErrorWithReason(absl::StatusCode::kUnauthenticated, "API_KEY_MISSING",
                           "the server asks for an API key, as metadata of the call: "
                           "'authorization: Bearer KEY' or 'api-key: KEY'");
  }
  const Access access = secrets.AccessOf(key);
  if (access == Access::kNone) {
    return ErrorWithReason(absl::StatusCode::kUnauthenticated, "API_KEY_UNKNOWN",
                           "the API key is not one of the server's");
  }
  if (access < AccessNeeded(method)) {
    return ErrorWithReason(absl::StatusCode::kPermissionDenied, "READ_ONLY_API_KEY",
                           absl::StrCat("the API key is for reading alone, and not for ",
                                        absl::string_view(method.data(), method.size())));
  }
  return absl::OkStatus();
}

}  // namespace tessera
