#include "tests/bench/dataset.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"

namespace tessera::bench {
namespace {

absl::StatusOr<std::vector<char>> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::vector<char> bytes(static_cast<size_t>(in.tellg()));
  in.seekg(0);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return absl::DataLossError(absl::StrCat("cannot read ", path));
  }
  return bytes;
}

// Rows of a .bvecs or .ivecs file: a 32-bit dimension, then that many components.
absl::StatusOr<std::vector<char>> ReadVecs(const std::string& path, size_t component_bytes,
                                           size_t* dim) {
  ASSIGN_OR_RETURN(const std::vector<char> bytes, ReadFile(path));
  int32_t d = 0;
  if (bytes.size() >= 4) std::memcpy(&d, bytes.data(), 4);
  const size_t row = 4 + static_cast<size_t>(d) * component_bytes;
  if (d <= 0 || d > 1 << 16 || bytes.size() % row != 0) {
    return absl::DataLossError(absl::StrCat(path, " is not a whole number of rows"));
  }
  std::vector<char> out;
  out.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size(); at += row) {
    out.insert(out.end(), &bytes[at] + 4, bytes.data() + at + row);
  }
  *dim = static_cast<size_t>(d);
  return out;
}

// The data of a .npy file whose header names `type` and a shape of two dimensions.
absl::StatusOr<std::vector<char>> ReadNpy(const std::string& path, const std::string& type,
                                          size_t component_bytes, size_t* dim) {
  ASSIGN_OR_RETURN(std::vector<char> bytes, ReadFile(path));
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY\x01", 7) != 0) {
    return absl::DataLossError(absl::StrCat(path, " is not a version 1 .npy file"));
  }
  const size_t header_bytes =
      static_cast<uint8_t>(bytes[8]) + 256 * size_t{static_cast<uint8_t>(bytes[9])};
  const std::string header(&bytes[10], std::min(header_bytes, bytes.size() - 10));
  const size_t shape = header.find("'shape': (");
  const size_t comma = header.find(',', shape);
  if (header.find(type) == std::string::npos || comma == std::string::npos) {
    return absl::DataLossError(absl::StrCat(path, " is not of type ", type));
  }
  *dim = std::stoul(header.substr(comma + 1));
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(10 + header_bytes));
  if (bytes.empty() || *dim == 0 || bytes.size() % (*dim * component_bytes) != 0) {
    return absl::DataLossError(absl::StrCat(path, " is not a whole number of rows"));
  }
  return bytes;
}

}  // namespace

Matrix Dataset::Floats(size_t begin, size_t n) const {
  Matrix floats(n, base.dim);
  ToFloat(base.type, base.row(begin), n * base.dim, floats.data());
  return floats;
}

absl::StatusOr<Dataset> LoadDataset(const std::string& folder, size_t queries_max) {
  Dataset out;
  const std::filesystem::path path(folder);
  out.name = path.filename().string().empty() ? path.parent_path().filename().string()
                                              : path.filename().string();
  const bool bytes = std::filesystem::exists(path / "base.bvecs");
  size_t dim = 0, query_dim = 0;
  std::vector<char> base, queries;
  if (bytes) {
    out.metric = Metric::kL2;
    out.type = ElementType::kUint8;
    ASSIGN_OR_RETURN(base, ReadVecs((path / "base.bvecs").string(), 1, &dim));
    ASSIGN_OR_RETURN(queries, ReadVecs((path / "query.bvecs").string(), 1, &query_dim));
  } else {
    out.metric = Metric::kInnerProduct;
    out.type = ElementType::kFloat16;
    ASSIGN_OR_RETURN(base, ReadNpy((path / "vectors.npy").string(), "<f2", 2, &dim));
    ASSIGN_OR_RETURN(queries, ReadNpy((path / "queries.npy").string(), "<f4", 4, &query_dim));
  }
  if (dim != query_dim) return absl::DataLossError("queries and vectors differ in dimension");
  const size_t rows = base.size() / (dim * ElementSize(out.type));
  out.base_bytes = AlignedBuffer<std::byte>(base.size());
  std::memcpy(out.base_bytes.data(), base.data(), base.size());
  out.base = {out.base_bytes.data(), out.type, rows, dim};

  const ElementType query_type = bytes ? ElementType::kUint8 : ElementType::kFloat32;
  const size_t num_queries =
      std::min(queries_max, queries.size() / (dim * ElementSize(query_type)));
  out.queries = Matrix(num_queries, dim);
  ToFloat(query_type, reinterpret_cast<const std::byte*>(queries.data()), num_queries * dim,
          out.queries.data());

  size_t k = 0;
  ASSIGN_OR_RETURN(const std::vector<char> truth,
                   ReadVecs((path / "groundtruth.ivecs").string(), 4, &k));
  if (truth.size() / (4 * k) < num_queries) return absl::DataLossError("too few true neighbours");
  out.truth.resize(num_queries);
  for (size_t q = 0; q < num_queries; ++q) {
    out.truth[q].resize(k);
    std::memcpy(out.truth[q].data(), &truth[q * k * 4], k * 4);
  }
  return out;
}

}  // namespace tessera::bench
