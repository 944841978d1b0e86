#ifndef TESSERA_SERVER_FILTER_FIELD_CONTENTS_H_
#define TESSERA_SERVER_FILTER_FIELD_CONTENTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <roaring/roaring.hh>
#include <string_view>
#include <type_traits>
#include <variant>

#include "absl/status/status.h"
#include "index/base/byte_io.h"
#include "server/filter/field_index.h"
#include "server/filter/posting_tree.h"
#include "server/filter/slot_code.h"

// What an index holds, as bytes: so that a start reads it instead of payloads. README.md, section
// "Contents of an index", has the grammar.
namespace tessera {

// Calls write(part) for each part, in order, until one fails. A part has some 64 KiB, and at most
// one value and 64 KiB more.
absl::Status WriteFieldContents(const FieldIndex& index,
                                const std::function<absl::Status(std::string_view part)>& write);

// Makes an index of parts that nobody vouches for. Not thread-safe.
class FieldContentsReader {
 public:
  // Slots are below `slot_end`; those of `without`, which must outlive the reader, are left out.
  FieldContentsReader(const PayloadIndexSpec& spec, uint64_t slot_end, const Roaring& without);

  // The next part. False if it is none that could follow: nothing is to be added any more then.
  [[nodiscard]] bool Add(std::string_view part);
  // The index, after all parts; null if they do not fit together.
  std::shared_ptr<const FieldIndex> Finish();

 private:
  template <class Key>
  struct Values {
    typename PostingTree<Key>::Builder builder;
    std::optional<Key> key;  // whose slots are in slots_
  };

  template <class Key>
  bool AddValues(ByteReader& body, Values<Key>* values);
  template <class Key>
  void EndValue(Values<Key>* values);
  void EndSection();

  const Roaring& without_;
  std::shared_ptr<FieldIndex> index_;
  uint8_t section_ = 0;
  DecodedSlots slots_;
  std::variant<Values<int64_t>, Values<double>, Values<std::string>> values_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_FIELD_CONTENTS_H_
