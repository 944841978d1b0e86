#ifndef TESSERA_SERVER_FSCK_COLLECTION_CHECK_H_
#define TESSERA_SERVER_FSCK_COLLECTION_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "index/base/slot_set.h"
#include "index/codebook/codebook.h"
#include "server/engine/records.h"
#include "server/fsck/findings.h"
#include "server/fsck/index_check.h"
#include "server/storage/store.h"

namespace tessera {

// Checks the records of one collection, and that they fit together: every point has one id record
// that leads to it, every id record leads to its point, every point of a trained collection has one
// code of the codebook in use, which stands for its vector, and all of them are what the catalog
// says; what is stored of payload indexes is what the payloads say. Not thread-safe.
class CollectionCheck {
 public:
  CollectionCheck(Store& store, const CatalogRecord& catalog, Findings& findings)
      : store_(store), catalog_(catalog), findings_(findings) {}

  void Run();

 private:
  // What is known of the slot of a point. 24 bytes and the table's own for each point.
  struct Place {
    uint64_t id_hash = 0;
    bool named = false;  // by an id record
    bool coded = false;
    bool deleted = false;  // its records are to be removed
  };
  using Check = absl::Status (CollectionCheck::*)(std::string_view key, std::string_view value);

  void Walk(Family family, const char* what, Check check);
  absl::Status CheckCounter();
  absl::Status ReadDeletions();
  absl::Status ReadLastCodebook();
  absl::Status CheckCodebook(std::string_view key, std::string_view value);
  absl::Status CheckCentroid(std::string_view key, std::string_view value);
  absl::Status CheckPoint(std::string_view key, std::string_view value);
  absl::Status CheckId(std::string_view key, std::string_view value);
  absl::Status CheckCode(std::string_view key, std::string_view value);
  absl::StatusOr<bool> StandsForItsVector(const CodeKeyParts& parts, const CodeRecordView& code);
  void CheckComplete();
  void Report(const absl::Status& status);

  Store& store_;
  const CatalogRecord& catalog_;
  Findings& findings_;
  uint64_t next_slot_ = 0;
  uint64_t sequence_ = 0;
  uint32_t last_version_ = ~uint32_t{0};      // that a codebook was given; unknown before format 2
  std::shared_ptr<const Codebook> codebook_;  // the one in use, with what has moved of it
  std::vector<uint32_t> moved_lists_;
  std::vector<float> moved_centroids_;  // of those lists
  std::shared_ptr<const Codebook> last_codebook_;
  uint32_t last_codebook_version_ = 0;
  SlotSet deleted_;  // slots of large deletions whose records are to be removed
  absl::flat_hash_map<Slot, Place> places_;
  IndexCheck indexes_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FSCK_COLLECTION_CHECK_H_
