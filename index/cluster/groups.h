#ifndef TESSERA_INDEX_CLUSTER_GROUPS_H_
#define TESSERA_INDEX_CLUSTER_GROUPS_H_

#include <cstddef>

#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/cluster/members.h"

namespace tessera {

// Rows, each in the group whose head is nearest to it.
struct RowGroups {
  Matrix heads;
  Members members;
};

// Groups rows by a short k-means: centroids, of which a search then looks only at those of some
// groups. 1 <= groups <= rows.rows. The same rows give the same groups.
RowGroups FormGroups(MatrixView rows, size_t groups, Executor& executor);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_GROUPS_H_
