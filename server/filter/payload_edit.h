#ifndef TESSERA_SERVER_FILTER_PAYLOAD_EDIT_H_
#define TESSERA_SERVER_FILTER_PAYLOAD_EDIT_H_

#include <string>
#include <string_view>
#include <vector>

#include "server/filter/field_path.h"

namespace tessera {

// Which parts of a payload come back. Both lists empty: all of it.
struct PayloadSelection {
  bool enabled = false;
  std::vector<FieldPath> include;  // nothing but these
  std::vector<FieldPath> exclude;  // then without these

  bool whole() const { return include.empty() && exclude.empty(); }
  friend bool operator==(const PayloadSelection&, const PayloadSelection&) = default;
};

// Payloads are texts of JSON objects, or "" for none, and keep the order of their members. What was
// stored is valid; what comes from outside is checked by the caller. Values that nobody asked to
// change stay as they are written, to the byte.

// The parts that are selected; "" if `enabled` is false.
std::string SelectPayload(std::string_view payload, const PayloadSelection& selection);
// `payload` with the members of `update`, which replace those of the same name.
std::string MergePayload(std::string_view payload, std::string_view update);
// `payload` without what lies at these paths.
std::string DeleteFromPayload(std::string_view payload, const std::vector<FieldPath>& keys);

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_PAYLOAD_EDIT_H_
