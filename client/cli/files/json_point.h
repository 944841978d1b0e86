#ifndef TESSERA_CLIENT_CLI_FILES_JSON_POINT_H_
#define TESSERA_CLIENT_CLI_FILES_JSON_POINT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"

namespace tessera::cli {

// A point as one line of JSON has it.
struct JsonPoint {
  std::optional<std::variant<uint64_t, std::string>> id;
  std::vector<float> vector;
  std::string payload;  // JSON, an object; empty: none
};

struct JsonPointFields {
  std::string id = "id";
  std::string vector;  // empty: the first of "vector", "embedding" and "values" that a point has
};

// Reads points out of JSON objects: one member is the id, one the vector, an array of numbers. If
// there is one other, "payload" or "metadata", and it is an object, it is the payload (null: there
// is none); else all others are it together. Keeps buffers from line to line. Thread-compatible.
class JsonPointParser {
 public:
  explicit JsonPointParser(JsonPointFields fields);
  ~JsonPointParser();

  // INVALID_ARGUMENT, naming the member, if `line` is no such object. Components are rounded to
  // float; one that is out of its range is refused.
  absl::Status Parse(std::string_view line, JsonPoint* point);

 private:
  struct Buffers;

  bool IsVector(std::string_view name) const;

  const JsonPointFields fields_;
  const std::unique_ptr<Buffers> buffers_;  // of the JSON library
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_FILES_JSON_POINT_H_
