#include "server/rpc/convert_snapshots.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_types.h"

namespace tessera {
namespace {

constexpr char kTokenVersion = 1;

}  // namespace

absl::Status CheckSnapshotId(const std::string& id) {
  if (SnapshotDirectory::IsId(id)) return absl::OkStatus();
  return InvalidField("snapshot_id", "is not an id of a snapshot, as Create and List give them");
}

void FromSnapshotInfo(const SnapshotInfo& info, v1::Snapshot* out) {
  out->set_snapshot_id(info.id);
  if (!info.damage.ok()) {
    out->set_damage(std::string(info.damage.message()));
    return;
  }
  out->set_collection_name(info.spec.name);
  out->set_dimension(info.spec.dimension);
  out->set_metric(FromMetric(info.spec.metric));
  out->set_element_type(FromElementType(info.spec.element_type));
  out->set_sequence(info.sequence);
  out->set_points(info.points);
  out->set_files(info.files);
  out->set_size_bytes(info.bytes);
  FromTimeMs(info.create_time_ms, out->mutable_create_time());
  out->set_creator_version(info.creator_version);
  out->set_format_version(info.format_version);
}

std::string ToSnapshotsToken(const std::string& last) {
  return absl::WebSafeBase64Escape(kTokenVersion + last);
}

absl::StatusOr<std::string> FromSnapshotsToken(const std::string& token) {
  if (token.empty()) return std::string();
  std::string bytes;
  if (token.size() > limits::kPageTokenBytesMax || !absl::WebSafeBase64Unescape(token, &bytes) ||
      bytes.empty() || bytes[0] != kTokenVersion || !SnapshotDirectory::IsId(bytes.substr(1))) {
    return InvalidField("page_token", "is not a token of an earlier page");
  }
  return bytes.substr(1);
}

}  // namespace tessera
