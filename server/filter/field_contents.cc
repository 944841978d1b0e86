#include "server/filter/field_contents.h"

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "index/base/status_macros.h"
#include "server/filter/slots_of.h"

namespace tessera {
namespace {

// Stored on disk: never renumber.
enum Section : uint8_t {
  kCovered = 1,
  kExists = 2,
  kValued = 3,
  kNulls = 4,
  kOthers = 5,
  kValues = 6,
};

constexpr size_t kPartBytes = 64 << 10;

void AppendKey(int64_t key, std::string* bytes) {
  ByteWriter writer;
  writer.WriteI64(key);
  bytes->append(writer.view());
}
void AppendKey(double key, std::string* bytes) {
  ByteWriter writer;
  writer.WriteF64(key);
  bytes->append(writer.view());
}
void AppendKey(const std::string& key, std::string* bytes) {
  AppendVarint(key.size(), bytes);
  bytes->append(key);
}

bool ReadKey(ByteReader& body, int64_t* key) { return body.ReadI64(key); }
bool ReadKey(ByteReader& body, double* key) { return body.ReadF64(key) && !std::isnan(*key); }
bool ReadKey(ByteReader& body, std::string* key) {
  uint64_t size = 0;
  std::string_view bytes;
  if (!ReadVarint(body, &size) || !body.ReadBytes(size, &bytes)) return false;
  *key = std::string(bytes);
  return true;
}

// Gathers what belongs to a section into parts. After a failed write it does nothing more.
class PartWriter {
 public:
  explicit PartWriter(const std::function<absl::Status(std::string_view)>& write) : write_(write) {}

  void WriteBitmap(Section section, const Roaring& bitmap) {
    const std::vector<Slot> slots = SlotsOf(bitmap);
    for (std::span<const Slot> rest = slots; !rest.empty() && status_.ok(); EndPart()) {
      part_.push_back(static_cast<char>(section));
      EncodeSlots(&rest, kPartBytes, &part_);
    }
  }

  template <class Key>
  void WriteValue(const Key& key, const Posting& posting) {
    one_.assign(posting.few().begin(), posting.few().end());
    if (posting.many() != nullptr) one_ = SlotsOf(*posting.many());
    for (std::span<const Slot> rest = one_; !rest.empty() && status_.ok();) {
      if (part_.empty()) part_.push_back(static_cast<char>(kValues));
      AppendKey(key, &part_);
      encoded_.clear();
      EncodeSlots(&rest, kPartBytes, &encoded_);
      AppendVarint(encoded_.size(), &part_);
      part_.append(encoded_);
      if (part_.size() >= kPartBytes) EndPart();
    }
  }

  absl::Status Finish() {
    if (!part_.empty()) EndPart();
    return status_;
  }

 private:
  void EndPart() {
    if (status_.ok()) status_ = write_(part_);
    part_.clear();
  }

  const std::function<absl::Status(std::string_view)>& write_;
  absl::Status status_;
  std::string part_;
  std::string encoded_;
  std::vector<Slot> one_;  // slots of the value that is being written
};

}  // namespace

absl::Status WriteFieldContents(const FieldIndex& index,
                                const std::function<absl::Status(std::string_view)>& write) {
  PartWriter writer(write);
  writer.WriteBitmap(kCovered, index.covered());
  writer.WriteBitmap(kExists, index.exists());
  writer.WriteBitmap(kValued, index.valued());
  writer.WriteBitmap(kNulls, index.nulls());
  writer.WriteBitmap(kOthers, index.others());
  index.ForEachValue(
      [&](const auto& key, const Posting& posting) { writer.WriteValue(key, posting); });
  return writer.Finish();
}

FieldContentsReader::FieldContentsReader(const PayloadIndexSpec& spec, uint64_t slot_end,
                                         const Roaring& without)
    : without_(without),
      index_(std::make_shared<FieldIndex>(spec, FieldColumn(spec.type))),
      slots_(slot_end) {
  if (spec.type == PayloadIndexType::kKeyword) {
    values_.emplace<Values<std::string>>();
  } else if (spec.type == PayloadIndexType::kFloat) {
    values_.emplace<Values<double>>();
  }
}

bool FieldContentsReader::Add(std::string_view part) {
  ByteReader body(part);
  uint8_t section = 0;
  if (!body.ReadU8(&section) || section < section_ || section < kCovered || section > kValues ||
      body.AtEnd()) {
    return false;
  }
  if (section != section_) EndSection();
  section_ = section;
  if (section != kValues) return slots_.Add(part.substr(1));
  return std::visit([&](auto& values) { return AddValues(body, &values); }, values_);
}

template <class Key>
bool FieldContentsReader::AddValues(ByteReader& body, Values<Key>* values) {
  for (bool first = true; !body.AtEnd(); first = false) {
    Key key{};
    uint64_t size = 0;
    std::string_view slots;
    if (!ReadKey(body, &key) || !ReadVarint(body, &size) || size == 0 ||
        !body.ReadBytes(size, &slots)) {
      return false;
    }
    // Only a value whose slots fill a part goes on in the next one.
    const bool goes_on = first && values->key.has_value() && key == *values->key;
    if (!goes_on) {
      if (values->key.has_value() && !(*values->key < key)) return false;
      EndValue(values);
      values->key = std::move(key);
    }
    if (!slots_.Add(slots)) return false;
  }
  return true;
}

template <class Key>
void FieldContentsReader::EndValue(Values<Key>* values) {
  if (!values->key.has_value()) return;
  Posting posting = slots_.TakePosting(without_);
  if (!posting.empty()) values->builder.Append(*values->key, std::move(posting));
  values->key.reset();
}

void FieldContentsReader::EndSection() {
  if (section_ == 0) return;
  if (section_ == kValues) {
    std::visit(
        [&](auto& values) {
          EndValue(&values);
          index_->tree_ = values.builder.Finish();
        },
        values_);
    return;
  }
  auto bitmap = std::make_shared<Roaring>(slots_.TakeBitmap(without_));
  bitmap->runOptimize();
  FieldIndex::Bitmap* const bitmaps[] = {&index_->covered_, &index_->exists_, &index_->valued_,
                                         &index_->nulls_, &index_->others_};
  *bitmaps[section_ - kCovered] = std::move(bitmap);
}

std::shared_ptr<const FieldIndex> FieldContentsReader::Finish() {
  EndSection();
  section_ = kValues + 1;  // nothing may follow
  if (!index_->exists().isSubset(index_->covered()) ||
      !index_->valued().isSubset(index_->exists()) || !index_->nulls().isSubset(index_->exists()) ||
      !index_->others().isSubset(index_->valued())) {
    return nullptr;
  }
  index_->SetSingleValued();
  index_->MakeCodes();
  return std::exchange(index_, nullptr);
}

}  // namespace tessera
