#include "server/snapshot/snapshot_manifest.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "index/base/byte_io.h"
#include "index/base/check.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"
#include "server/storage/store_error.h"

namespace tessera {
namespace {

constexpr uint32_t kMagic = 0x4D535354;  // "TSSM"
constexpr size_t kChecksumBytes = 4;
constexpr size_t kHeaderBytes = 8;
constexpr size_t kFileBytesMin = 4 + 8 + 4;  // in the manifest, without its name

absl::Status Damaged(const std::string& what) {
  return StoreError(absl::StatusCode::kDataLoss, "SNAPSHOT_DAMAGED",
                    absl::StrCat("MANIFEST is damaged: ", what));
}

bool ReadFile(ByteReader& reader, SnapshotFile* file) {
  return reader.ReadString(limits::kSnapshotFileNameBytesMax, &file->name) &&
         reader.ReadU64(&file->bytes) && reader.ReadU32(&file->crc);
}

bool ReadBody(ByteReader& reader, SnapshotManifest* manifest, uint32_t* files) {
  return reader.ReadString(limits::kCreatorVersionBytesMax, &manifest->creator_version) &&
         reader.ReadI64(&manifest->create_time_ms) && reader.ReadU32(&manifest->collection_id) &&
         reader.ReadU64(&manifest->sequence) && reader.ReadU64(&manifest->points) &&
         reader.ReadString(limits::kCatalogRecordBytesMax, &manifest->catalog) &&
         reader.ReadU32(files);
}

absl::Status ReadFiles(ByteReader& reader, uint32_t count, SnapshotManifest* manifest) {
  if (!reader.HasRoomFor(count, kFileBytesMin)) return Damaged("it names more files than it holds");
  manifest->files.resize(count);
  for (SnapshotFile& file : manifest->files) {
    if (!ReadFile(reader, &file)) return Damaged("it ends within the list of files");
    if (!IsSnapshotFileName(file.name)) return Damaged("a file's name is not one of ours");
  }
  const auto not_before = [](const SnapshotFile& a, const SnapshotFile& b) {
    return a.name >= b.name;
  };
  const auto& files = manifest->files;
  if (std::adjacent_find(files.begin(), files.end(), not_before) != files.end()) {
    return Damaged("the files are not in the order of their names");
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t SnapshotManifest::TotalBytes() const {
  uint64_t bytes = 0;
  for (const SnapshotFile& file : files) bytes += file.bytes;
  return bytes;
}

bool IsSnapshotFileName(std::string_view name) {
  const auto allowed = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= limits::kSnapshotFileNameBytesMax &&
         absl::ascii_isalnum(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), allowed);
}

std::string EncodeSnapshotManifest(const SnapshotManifest& manifest) {
  ByteWriter writer;
  writer.WriteU32(kMagic);
  writer.WriteU32(kSnapshotFormat);
  writer.WriteString(manifest.creator_version.substr(0, limits::kCreatorVersionBytesMax));
  writer.WriteI64(manifest.create_time_ms);
  writer.WriteU32(manifest.collection_id);
  writer.WriteU64(manifest.sequence);
  writer.WriteU64(manifest.points);
  TESSERA_CHECK(manifest.catalog.size() <= limits::kCatalogRecordBytesMax);
  writer.WriteString(manifest.catalog);
  writer.WriteU32(static_cast<uint32_t>(manifest.files.size()));
  for (const SnapshotFile& file : manifest.files) {
    writer.WriteString(file.name);
    writer.WriteU64(file.bytes);
    writer.WriteU32(file.crc);
  }
  writer.WriteU32(Crc32c(writer.view()));
  return writer.Take();
}

absl::StatusOr<SnapshotManifest> DecodeSnapshotManifest(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) return Damaged("it is too short");
  const std::string_view content = bytes.substr(0, bytes.size() - kChecksumBytes);
  ByteReader tail(bytes.substr(content.size()));
  uint32_t crc = 0;
  if (!tail.ReadU32(&crc) || crc != Crc32c(content)) return Damaged("its checksum does not match");
  ByteReader reader(content);
  uint32_t magic = 0;
  uint32_t format = 0;
  if (!reader.ReadU32(&magic) || magic != kMagic || !reader.ReadU32(&format)) {
    return Damaged("it is no manifest of a snapshot");
  }
  if (format != kSnapshotFormat) {
    return StoreError(absl::StatusCode::kFailedPrecondition, "SNAPSHOT_FORMAT_TOO_NEW",
                      absl::StrCat("MANIFEST has format ", format, "; this server reads format ",
                                   kSnapshotFormat));
  }
  SnapshotManifest manifest;
  uint32_t files = 0;
  if (!ReadBody(reader, &manifest, &files)) return Damaged("a field is out of its range");
  if (absl::Status status = ReadFiles(reader, files, &manifest); !status.ok()) return status;
  if (!reader.AtEnd()) return Damaged("it goes on after its end");
  return manifest;
}

}  // namespace tessera
