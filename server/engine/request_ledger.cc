#include "server/engine/request_ledger.h"

#include <utility>

#include "index/base/check.h"

namespace tessera {

const LedgerEntry* RequestLedger::Find(std::string_view request_id) const {
  const auto it = by_id_.find(std::string(request_id));
  return it == by_id_.end() ? nullptr : it->second;
}

void RequestLedger::Add(LedgerEntry entry) {
  entries_.push_back(std::make_unique<const LedgerEntry>(std::move(entry)));
  const LedgerEntry* added = entries_.back().get();
  TESSERA_CHECK(by_id_.emplace(added->request_id, added).second);
}

void RequestLedger::DropOldest() {
  by_id_.erase(entries_.front()->request_id);
  entries_.pop_front();
}

}  // namespace tessera
