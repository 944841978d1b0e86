#ifndef TESSERA_SERVER_ENGINE_COLLECTION_VIEW_H_
#define TESSERA_SERVER_ENGINE_COLLECTION_VIEW_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "index/base/slot_set.h"
#include "index/base/types.h"
#include "index/codebook/codebook.h"
#include "index/codebook/parameters.h"
#include "index/ivf/inverted_lists.h"
#include "server/engine/calibration.h"
#include "server/engine/types.h"
#include "server/engine/view_epochs.h"
#include "server/filter/payload_indexes.h"

namespace tessera {

// What a search sees: one moment of a collection. Immutable. As long as it is held, no slot that
// has a point in it is given to another point, so that what is kept by slot can be read with it.
struct CollectionView {
  std::unique_ptr<const ViewEpochs::Token> token;  // first: destroyed when all else is
  Slot slot_end = 0;                               // slots below it have been given
  std::shared_ptr<const SlotSet> dead;             // those of them without a point
  // Those of the dead whose records are still in the store: as long as the view is held, none of
  // them is given to a point.
  std::shared_ptr<const SlotSet> leftover;
  uint32_t codebook_version = 0;
  std::shared_ptr<const Codebook> codebook;  // null: not trained
  std::shared_ptr<const ListsSnapshot> lists;
  SearchDefaults defaults;  // of the codebook, for so many points, as the calibration corrects them
  std::shared_ptr<const Calibration> calibration;      // of the codebook; null: not measured
  std::shared_ptr<const CollectionSettings> settings;  // never null, as the next
  std::shared_ptr<const PayloadIndexes> indexes;
  uint64_t version = 0;   // grows with every view
  uint64_t sequence = 0;  // of the last write that it shows

  // Those below `end` that have points, ascending.
  std::vector<Slot> LiveSlots(Slot end) const;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_COLLECTION_VIEW_H_
