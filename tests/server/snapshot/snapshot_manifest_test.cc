#include "server/snapshot/snapshot_manifest.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "index/base/crc32c.h"
#include "index/base/limits.h"

namespace tessera {
namespace {

SnapshotManifest Example() {
  SnapshotManifest manifest;
  manifest.creator_version = "1.2.3";
  manifest.create_time_ms = 1'700'000'000'123;
  manifest.collection_id = 7;
  manifest.sequence = 42;
  manifest.points = 40;
  manifest.catalog = std::string("\x01\x00 bytes", 8);
  manifest.files = {
      {"000012.sst", 1000, 0x12345678}, {"CURRENT", 16, 1}, {"MANIFEST-000005", 9, 2}};
  return manifest;
}

// The bytes with a checksum that fits them again.
std::string Sealed(std::string bytes) {
  bytes.resize(bytes.size() - 4);
  const uint32_t crc = Crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(crc >> shift));
  return bytes;
}

TEST(SnapshotManifestTest, ReadsBackWhatItWrote) {
  const auto decoded = DecodeSnapshotManifest(EncodeSnapshotManifest(Example()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, Example());
  EXPECT_EQ(decoded->TotalBytes(), 1025u);
  const auto empty = DecodeSnapshotManifest(EncodeSnapshotManifest({}));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(*empty, SnapshotManifest());
}

TEST(SnapshotManifestTest, EveryTruncationAndEveryChangedBitIsDamage) {
  const std::string bytes = EncodeSnapshotManifest(Example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeSnapshotManifest(bytes.substr(0, size)).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    const absl::Status status = DecodeSnapshotManifest(changed).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << bit;
    EXPECT_TRUE(absl::StrContains(status.message(), "MANIFEST")) << status;
  }
}

TEST(SnapshotManifestTest, LaterFormatIsNamed) {
  std::string bytes = EncodeSnapshotManifest(Example());
  bytes[4] = 2;
  const absl::Status status = DecodeSnapshotManifest(Sealed(bytes)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(status.message(), "has format 2")) << status;
}

TEST(SnapshotManifestTest, NamesThatLeadElsewhereAreRefused) {
  for (const std::string name : {"", ".", "..", "../x", "a/b", "/etc", ".hidden", "a b", "a\n"}) {
    EXPECT_FALSE(IsSnapshotFileName(name)) << name;
    SnapshotManifest manifest = Example();
    manifest.files = {{name, 1, 1}};
    EXPECT_EQ(DecodeSnapshotManifest(EncodeSnapshotManifest(manifest)).status().code(),
              absl::StatusCode::kDataLoss)
        << name;
  }
  EXPECT_FALSE(IsSnapshotFileName(std::string(limits::kSnapshotFileNameBytesMax + 1, 'a')));
  EXPECT_TRUE(IsSnapshotFileName(std::string(limits::kSnapshotFileNameBytesMax, 'a')));
  EXPECT_TRUE(IsSnapshotFileName("OPTIONS-000017"));
}

TEST(SnapshotManifestTest, FilesOutOfOrderOrTwiceAreRefused) {
  SnapshotManifest manifest = Example();
  std::swap(manifest.files[0], manifest.files[1]);
  EXPECT_FALSE(DecodeSnapshotManifest(EncodeSnapshotManifest(manifest)).ok());
  manifest.files = {{"a", 1, 1}, {"a", 1, 1}};
  EXPECT_FALSE(DecodeSnapshotManifest(EncodeSnapshotManifest(manifest)).ok());
}

TEST(SnapshotManifestTest, CountOfFilesIsNotBelieved) {
  std::string bytes = EncodeSnapshotManifest({});
  // The count is the last field before the checksum.
  for (size_t i = bytes.size() - 8; i < bytes.size() - 4; ++i) bytes[i] = '\xFF';
  EXPECT_EQ(DecodeSnapshotManifest(Sealed(bytes)).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tessera
