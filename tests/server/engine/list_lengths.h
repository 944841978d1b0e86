#ifndef TESSERA_TESTS_SERVER_ENGINE_LIST_LENGTHS_H_
#define TESSERA_TESTS_SERVER_ENGINE_LIST_LENGTHS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "index/base/matrix.h"
#include "server/engine/records.h"
#include "server/storage/store.h"

namespace tessera {

// The catalog record of the only collection.
inline CatalogRecord OnlyCollection(Store& store) {
  const KeyRange range = CatalogRange();
  auto it = store.Scan(Family::kMeta, range.begin, range.end, /*bulk=*/false);
  CatalogRecord record;
  EXPECT_TRUE(it->Valid() && DecodeCatalog(it->key(), it->value(), &record).ok());
  return record;
}

// How many codes of the codebook in use each list has, by what is stored.
inline std::vector<uint32_t> ListLengths(Store& store, size_t nlist) {
  const CatalogRecord catalog = OnlyCollection(store);
  const KeyRange range = CodesRange(catalog.id, catalog.codebook_version);
  std::vector<uint32_t> lengths(nlist);
  auto it = store.Scan(Family::kCodes, range.begin, range.end, /*bulk=*/true);
  for (; it->Valid(); it->Next()) {
    CodeKeyParts key;
    EXPECT_TRUE(ParseCodeKey(it->key(), &key).ok());
    ++lengths.at(key.list);
  }
  return lengths;
}

// Rows around `centres` points that lie within `spread` of `middle` in each component.
inline Matrix RowsAround(float middle, float spread, size_t centres, size_t rows, size_t cols,
                         uint32_t seed) {
  std::mt19937 centre_random(1);
  std::normal_distribution<float> normal;
  Matrix centre(centres, cols);
  for (size_t i = 0; i < centres * cols; ++i) {
    centre.data()[i] = middle + spread * normal(centre_random);
  }
  std::mt19937 random(seed);
  Matrix matrix(rows, cols);
  for (size_t i = 0; i < rows; ++i) {
    const auto from = centre.row(random() % centres);
    for (size_t j = 0; j < cols; ++j) matrix.row(i)[j] = from[j] + spread / 3 * normal(random);
  }
  return matrix;
}

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_ENGINE_LIST_LENGTHS_H_
