#ifndef TESSERA_SERVER_FILTER_SLOT_GROUP_H_
#define TESSERA_SERVER_FILTER_SLOT_GROUP_H_

#include <atomic>
#include <memory>
#include <roaring/roaring.hh>

#include "server/filter/made_once.h"

namespace tessera {

class SlotParts;

// The slots of values side by side in an index. Immutable and thread-safe.
class SlotGroup {
 public:
  SlotGroup() = default;
  SlotGroup(const SlotGroup&) = default;
  SlotGroup& operator=(const SlotGroup&) = default;
  virtual ~SlotGroup() = default;

  // The slots of the values one by one, or larger parts.
  virtual void AddTo(SlotParts* parts) const = 0;
};

// A large one. Its union is made for the second who asks for it and kept as long as the group: the
// groups that a commit makes anew may never be asked for, and what is asked for once is listed for
// less than a union costs.
class SharedSlotGroup : public SlotGroup {
 public:
  void AddTo(SlotParts* parts) const final;

  // The union; null for the first who asks.
  const Roaring* Union() const;
  // Null if it has not been made.
  std::shared_ptr<const Roaring> KnownUnion() const { return union_.Known(); }

 private:
  virtual void AddPartsTo(SlotParts* parts) const = 0;

  mutable std::atomic<bool> asked_{false};
  MadeOnce<Roaring> union_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_SLOT_GROUP_H_
