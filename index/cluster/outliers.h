#ifndef TESSERA_INDEX_CLUSTER_OUTLIERS_H_
#define TESSERA_INDEX_CLUSTER_OUTLIERS_H_

#include <cstdint>
#include <vector>

#include "index/base/matrix.h"

namespace tessera {

// A few rows that are much longer than the others, as damaged or wrongly scaled vectors are, take
// codewords away from these, move their centroids, and leave the steps of tables of few bits too
// wide to tell them apart. Those are outliers that are more than four times as long as 95 in 100
// of all.

// The squared length from which on rows are outliers, where `squares` are the squared lengths of
// all, or of a sample; infinity if those are mostly zeros.
double OutliersFrom(std::vector<double> squares);

// The numbers, ascending, of the rows that are no outliers.
std::vector<uint32_t> WithoutOutliers(MatrixView rows);

}  // namespace tessera

#endif  // TESSERA_INDEX_CLUSTER_OUTLIERS_H_
