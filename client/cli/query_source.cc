#include "client/cli/query_source.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/cli/exit_code.h"
#include "client/cli/files/id_source.h"
#include "client/cli/files/vector_reader.h"
#include "client/cpp/vectors.h"
#include "index/base/status_macros.h"

namespace tessera::cli {

v1::Vectors QuerySet::Slice(uint64_t begin, uint64_t count) const {
  const size_t row_bytes = dimension * ElementSize(element_type);
  return MakeVectors(data.substr(begin * row_bytes, count * row_bytes), element_type);
}

v1::Vectors QuerySet::Gather(std::span<const size_t> rows) const {
  const size_t row_bytes = dimension * ElementSize(element_type);
  std::string gathered;
  gathered.reserve(rows.size() * row_bytes);
  for (const size_t row : rows) gathered.append(data, row * row_bytes, row_bytes);
  return MakeVectors(std::move(gathered), element_type);
}

absl::StatusOr<RowRange> ParseRowRange(const std::string& text) {
  RowRange range;
  const size_t colon = text.find(':');
  const std::string_view view = text;
  const std::string_view first = view.substr(0, colon);
  bool ok = true;
  if (colon == std::string::npos) {
    ok = ParseUint64(first, &range.begin);
    range.end = range.begin + 1;
  } else {
    const std::string_view last = view.substr(colon + 1);
    ok = (first.empty() || ParseUint64(first, &range.begin)) &&
         (last.empty() || ParseUint64(last, &range.end));
  }
  if (!ok || range.begin >= range.end) {
    return UsageError(
        absl::StrCat("--rows '", text, "' is not a range of rows such as 0:10, 5:, :20 or 7"));
  }
  return range;
}

absl::StatusOr<QuerySet> ReadQueries(const std::string& path, const RowRange& range) {
  RowReaderOptions options;
  options.dataset = "test";
  absl::StatusOr<std::unique_ptr<VectorReader>> reader = VectorReader::Open(path, options);
  if (!reader.ok()) return InputFileError(reader.status());
  QuerySet queries;
  queries.element_type = (*reader)->element_type();
  queries.dimension = (*reader)->dimension();
  queries.first_row = range.begin;
  const uint64_t end = std::min(range.end, (*reader)->rows());
  if (range.begin >= end) {
    return InputFileError(absl::OutOfRangeError(absl::StrCat(path, ": row ", range.begin,
                                                             " is past the end: the file has ",
                                                             (*reader)->rows(), " rows")));
  }
  RETURN_IF_ERROR((*reader)->Seek(range.begin));
  const absl::StatusOr<uint64_t> rows = (*reader)->Read(end - range.begin, &queries.data);
  if (!rows.ok()) return InputFileError(rows.status());
  queries.rows = *rows;
  return queries;
}

absl::Status CheckDimension(const std::string& path, uint32_t dimension,
                            const v1::Collection& collection) {
  if (dimension == collection.dimension()) return absl::OkStatus();
  return InputFileError(absl::InvalidArgumentError(
      absl::StrCat(path, ": vectors of dimension ", dimension, " do not fit collection ",
                   collection.collection_name(), " of dimension ", collection.dimension())));
}

absl::StatusOr<QuerySet> ParseVector(const std::string& text) {
  std::vector<float> values;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    float value = 0;
    const char* end = part.data() + part.size();
    const auto [parsed, error] = std::from_chars(part.data(), end, value);
    if (part.empty() || error != std::errc() || parsed != end || !std::isfinite(value)) {
      return UsageError(
          absl::StrCat("--vector: component ", values.size(), ", '", part, "', is not a number"));
    }
    values.push_back(value);
  }
  QuerySet queries;
  queries.dimension = static_cast<uint32_t>(values.size());
  queries.rows = 1;
  queries.data.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return queries;
}

}  // namespace tessera::cli
