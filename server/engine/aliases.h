#ifndef TESSERA_SERVER_ENGINE_ALIASES_H_
#define TESSERA_SERVER_ENGINE_ALIASES_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/engine/types.h"
#include "server/storage/store.h"

namespace tessera {

// Other names of collections. Reading is thread-safe and takes no lock; changes come one at a time,
// by the engine under its catalog's mutex.
class Aliases {
 public:
  // Alias to collection.
  using Map = std::map<std::string, std::string>;

  explicit Aliases(Store& store) : store_(store), map_(std::make_shared<Map>()) {}

  // Reads what is stored.
  absl::Status Recover();

  std::optional<std::string> Find(const std::string& alias) const;
  std::shared_ptr<const Map> map() const { return map_.load(); }

  // All of the actions or none: on disk, then visible, at one moment. `is_collection` tells whether
  // there is a collection of a name.
  absl::Status Update(const std::vector<AliasAction>& actions,
                      const std::function<bool(const std::string&)>& is_collection);
  // What is left when a collection goes; its aliases are deleted in `batch`. Publish it when the
  // batch has been committed.
  std::shared_ptr<const Map> Without(const std::string& collection, StoreBatch& batch) const;
  void Publish(std::shared_ptr<const Map> map) { map_.store(std::move(map)); }

 private:
  Store& store_;
  std::atomic<std::shared_ptr<const Map>> map_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_ALIASES_H_
