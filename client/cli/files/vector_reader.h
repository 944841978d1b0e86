#ifndef TESSERA_CLIENT_CLI_FILES_VECTOR_READER_H_
#define TESSERA_CLIENT_CLI_FILES_VECTOR_READER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/files/row_reader.h"
#include "index/base/types.h"

namespace tessera::cli {

// Reads vectors from a file in the form that the wire takes. Element types pass through untouched,
// but for float64, which becomes float32. Thread-compatible.
class VectorReader {
 public:
  // INVALID_ARGUMENT if the file's components are not of a type for vectors.
  static absl::StatusOr<std::unique_ptr<VectorReader>> Open(const std::string& path,
                                                            const RowReaderOptions& options = {});

  uint64_t rows() const { return reader_->shape().rows; }
  uint32_t dimension() const { return reader_->shape().dimension; }
  ElementType element_type() const { return element_type_; }  // of what Read gives
  bool cut_short() const { return reader_->cut_short(); }
  uint64_t row_bytes() const { return dimension() * ElementSize(element_type_); }
  const std::string& path() const { return reader_->path(); }
  FileElement file_element() const { return reader_->shape().element; }

  uint64_t position() const { return reader_->position(); }
  absl::Status Seek(uint64_t row) { return reader_->Seek(row); }

  // Makes `out` the next rows, at most `rows_max`. Returns their number; 0 at the end.
  absl::StatusOr<uint64_t> Read(uint64_t rows_max, std::string* out);

 private:
  VectorReader(std::unique_ptr<RowReader> reader, ElementType element_type);

  const std::unique_ptr<RowReader> reader_;
  const ElementType element_type_;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_VECTOR_READER_H_
