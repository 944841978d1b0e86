#ifndef TESSERA_CLIENT_CLI_QUERY_SOURCE_H_
#define TESSERA_CLIENT_CLI_QUERY_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "index/base/types.h"
#include "tessera/v1/collections.pb.h"
#include "tessera/v1/types.pb.h"

namespace tessera::cli {

// Query vectors, in memory, of any element type. Immutable.
struct QuerySet {
  ElementType element_type = ElementType::kFloat32;
  uint32_t dimension = 0;
  uint64_t first_row = 0;  // of the file
  uint64_t rows = 0;
  std::string data;

  // The vectors of rows [begin, begin + count) of the set, as the wire takes them.
  v1::Vectors Slice(uint64_t begin, uint64_t count) const;
  // The same of any rows of the set.
  v1::Vectors Gather(std::span<const size_t> rows) const;
};

// A half-open range of rows, "a:b", ":b", "a:", ":" or a single row "a".
struct RowRange {
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;
};

// A usage error if it is malformed or empty.
absl::StatusOr<RowRange> ParseRowRange(const std::string& text);

// Reads the rows of `range` that the file has. An input-file error if there are none.
absl::StatusOr<QuerySet> ReadQueries(const std::string& path, const RowRange& range);

// An input-file error unless the vectors of a file have the collection's dimension. The wire has
// components one after the other: of queries with twice as many, the server would see two each.
absl::Status CheckDimension(const std::string& path, uint32_t dimension,
                            const v1::Collection& collection);

// Comma-separated numbers, e.g. "1,-2.5,3e-4". A usage error if one is malformed.
absl::StatusOr<QuerySet> ParseVector(const std::string& text);

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_QUERY_SOURCE_H_
