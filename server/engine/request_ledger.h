#ifndef TESSERA_SERVER_ENGINE_REQUEST_LEDGER_H_
#define TESSERA_SERVER_ENGINE_REQUEST_LEDGER_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "server/engine/types.h"

namespace tessera {

// A write that was sent with a request id.
struct LedgerEntry {
  std::string request_id;
  uint32_t fingerprint = 0;  // of what it wrote
  WriteResult result;
};

// The latest writes with a request id of one collection, so that one that is sent again is answered
// and not done again. What it holds is in the store too. Not thread-safe: it belongs to the writer.
class RequestLedger {
 public:
  // Null if the id is not known, or is not any more.
  const LedgerEntry* Find(std::string_view request_id) const;
  // Entries come in the order of their sequences, each id once.
  void Add(LedgerEntry entry);

  size_t size() const { return entries_.size(); }
  // The i-th of the entries, the oldest first.
  const LedgerEntry& entry(size_t i) const { return *entries_[i]; }
  void DropOldest();

 private:
  std::deque<std::unique_ptr<const LedgerEntry>> entries_;
  absl::flat_hash_map<std::string, const LedgerEntry*> by_id_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_REQUEST_LEDGER_H_
