#include "tests/bench/dataset.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/files/row_reader.h"
#include "client/cli/files/vector_reader.h"
#include "index/base/status_macros.h"
#include "index/simd/convert.h"

namespace tessera::bench {
namespace {

using std::filesystem::path;

constexpr std::array kVectorEndings = {".bvecs", ".fvecs", ".u8bin", ".i8bin", ".fbin", ".npy"};
constexpr std::array kTruthEndings = {".ivecs", ".npy"};

// What is read in one go, copied once more before it is in its place.
constexpr uint64_t kRowsPerRead = 65'536;

// The first file in `folder` that has one of `names` and of `endings`; empty if there is none.
template <size_t kNames, size_t kEndings>
path Find(const path& folder, const std::array<const char*, kNames>& names,
          const std::array<const char*, kEndings>& endings) {
  for (const char* name : names) {
    for (const char* ending : endings) {
      path file = folder / absl::StrCat(name, ending);
      if (std::filesystem::exists(file)) return file;
    }
  }
  return {};
}

// All rows of a file, as it holds them.
struct Rows {
  ElementType type = ElementType::kFloat32;
  size_t dim = 0;
  size_t n = 0;
  AlignedBuffer<std::byte> bytes;
};

absl::StatusOr<Rows> ReadRows(const path& file, uint64_t rows_max) {
  ASSIGN_OR_RETURN(const std::unique_ptr<cli::VectorReader> reader,
                   cli::VectorReader::Open(file.string()));
  Rows out;
  out.type = reader->element_type();
  out.dim = reader->dimension();
  out.n = std::min(reader->rows(), rows_max);
  out.bytes = AlignedBuffer<std::byte>(out.n * reader->row_bytes());
  std::string chunk;
  for (size_t read = 0; read < out.n;) {
    ASSIGN_OR_RETURN(const uint64_t rows,
                     reader->Read(std::min<uint64_t>(kRowsPerRead, out.n - read), &chunk));
    if (rows == 0) return absl::DataLossError(absl::StrCat(file.string(), " is cut short"));
    std::ranges::copy(std::as_bytes(std::span(chunk)),
                      out.bytes.data() + read * reader->row_bytes());
    read += rows;
  }
  return out;
}

}  // namespace

Matrix Dataset::Floats(size_t begin, size_t n) const {
  Matrix floats(n, base.dim);
  ToFloat(base.type, base.row(begin), n * base.dim, floats.data());
  return floats;
}

absl::StatusOr<Dataset> LoadDataset(const std::string& folder, size_t queries_max) {
  const path root(folder);
  const path base_file = Find(root, std::array{"base", "vectors"}, kVectorEndings);
  const path query_file = Find(root, std::array{"query", "queries"}, kVectorEndings);
  const path truth_file = Find(root, std::array{"groundtruth"}, kTruthEndings);
  if (base_file.empty() || query_file.empty() || truth_file.empty()) {
    return absl::NotFoundError(absl::StrCat(folder, " lacks base, query or groundtruth"));
  }
  Dataset out;
  out.name =
      root.filename().empty() ? root.parent_path().filename().string() : root.filename().string();
  out.metric = base_file.stem() == "base" ? Metric::kL2 : Metric::kInnerProduct;
  ASSIGN_OR_RETURN(Rows base, ReadRows(base_file, UINT64_MAX));
  out.type = base.type;
  out.base_bytes = std::move(base.bytes);
  out.base = {out.base_bytes.data(), base.type, base.n, base.dim};

  ASSIGN_OR_RETURN(const Rows queries, ReadRows(query_file, queries_max));
  if (queries.dim != base.dim) {
    return absl::DataLossError("queries and vectors differ in dimension");
  }
  out.queries = Matrix(queries.n, queries.dim);
  ToFloat(queries.type, queries.bytes.data(), queries.n * queries.dim, out.queries.data());

  ASSIGN_OR_RETURN(const cli::GroundTruth truth, cli::ReadGroundTruth(truth_file.string()));
  if (truth.queries < queries.n) return absl::DataLossError("too few true neighbours");
  out.truth.resize(queries.n);
  for (size_t q = 0; q < queries.n; ++q) {
    const auto first = truth.ids.begin() + static_cast<std::ptrdiff_t>(q * truth.neighbors);
    out.truth[q].assign(first, first + truth.neighbors);
  }
  return out;
}

}  // namespace tessera::bench
