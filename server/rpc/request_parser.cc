#include "server/rpc/request_parser.h"

#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/answer_room.h"
#include "server/engine/errors.h"
#include "server/rpc/rpc_status.h"

namespace tessera {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

std::string ElementPath(const std::string& prefix, const FieldDescriptor& field, int index) {
  std::string path = prefix.empty() ? field.name() : absl::StrCat(prefix, ".", field.name());
  return field.is_repeated() ? absl::StrCat(path, "[", index, "]") : path;
}

// Messages within messages that Protobuf reads; filters nest as deep as a client likes.
constexpr int kWalkDepth = 100;

// Walks one message by its wire format, `depth` messages deep.
std::optional<FieldFault> FindInMessage(std::string_view bytes, const Descriptor& type,
                                        const std::string& prefix, int depth) {
  if (depth > kWalkDepth) {
    return FieldFault{prefix, absl::StrCat("is more than ", kWalkDepth, " messages deep")};
  }
  CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                         static_cast<int>(bytes.size()));
  std::map<int, int> seen;  // how often each field came
  while (const uint32_t tag = input.ReadTag()) {
    const FieldDescriptor* field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
    const bool delimited =
        WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    const bool wanted = field != nullptr && delimited &&
                        (field->type() == FieldDescriptor::TYPE_STRING ||
                         field->type() == FieldDescriptor::TYPE_MESSAGE);
    if (!wanted) {
      if (!WireFormatLite::SkipField(&input, tag)) return std::nullopt;
      continue;
    }
    uint32_t length = 0;
    if (!input.ReadVarint32(&length)) return std::nullopt;
    const size_t at = static_cast<size_t>(input.CurrentPosition());
    if (length > bytes.size() - at) return std::nullopt;
    const std::string_view content = bytes.substr(at, length);
    if (!input.Skip(static_cast<int>(length))) return std::nullopt;
    const int index = seen[field->number()]++;
    if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
      auto inner = FindInMessage(content, *field->message_type(),
                                 ElementPath(prefix, *field, index), depth + 1);
      if (inner.has_value()) return inner;
    } else if (ValidUtf8Prefix(content) != content.size()) {
      return FieldFault{ElementPath(prefix, *field, index), "is not valid UTF-8"};
    }
  }
  return std::nullopt;
}

// Counts what a message has, and what those in it have.
class ElementCounter {
 public:
  ElementCounter(CodedInputStream& input, size_t elements_max)
      : input_(input), left_(elements_max) {}

  // False if they are too many, or the bytes are damaged: `path` says of which field.
  bool Count(const Descriptor& type, int depth, std::string* path) {
    while (const uint32_t tag = input_.ReadTag()) {
      const FieldDescriptor* field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      if (!CountField(tag, field, depth, path)) {
        const std::string name =
            field != nullptr ? field->name()
                             : absl::StrCat("field ", WireFormatLite::GetTagFieldNumber(tag));
        *path = absl::StrCat(name, path->empty() ? "" : ".", *path);  // from the inside out
        return false;
      }
    }
    return true;
  }

  bool too_many() const { return too_many_; }

 private:
  bool CountField(uint32_t tag, const FieldDescriptor* field, int depth, std::string* path) {
    const WireFormatLite::WireType wire_type = WireFormatLite::GetTagWireType(tag);
    // Numbers of fixed size take as much as they bring.
    const bool counts = wire_type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
                        wire_type == WireFormatLite::WIRETYPE_VARINT;
    if (counts && !Take(1)) return false;
    if (wire_type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      return WireFormatLite::SkipField(&input_, tag);
    }
    uint32_t length = 0;
    if (!input_.ReadVarint32(&length)) return false;
    if (length > static_cast<uint32_t>(input_.BytesUntilLimit())) return false;
    if (field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE && depth < kWalkDepth) {
      const auto limit = input_.PushLimit(static_cast<int>(length));
      if (!Count(*field->message_type(), depth + 1, path)) return false;
      input_.PopLimit(limit);
      return true;
    }
    // A number of one byte takes eight.
    if (IsPackedVarints(field) && !Take(length / sizeof(uint64_t))) return false;
    return input_.Skip(static_cast<int>(length));
  }

  static bool IsPackedVarints(const FieldDescriptor* field) {
    return field != nullptr && field->is_packable() &&
           WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(
               field->type())) == WireFormatLite::WIRETYPE_VARINT;
  }

  bool Take(size_t elements) {
    too_many_ = elements > left_;
    left_ -= too_many_ ? 0 : elements;
    return !too_many_;
  }

  CodedInputStream& input_;
  size_t left_;
  bool too_many_ = false;
};

std::string Flatten(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

absl::Status CheckElements(grpc::ByteBuffer* buffer, const Descriptor& type) {
  // Each takes two bytes at least.
  if (buffer->Length() / 2 <= limits::kMessageElementsMax) return absl::OkStatus();
  grpc::ProtoBufferReader reader(buffer);
  if (!reader.status().ok()) return absl::OkStatus();
  const auto field =
      FindTooManyElements(&reader, buffer->Length(), type, limits::kMessageElementsMax);
  if (!field.has_value()) return absl::OkStatus();
  return InvalidField(
      *field, absl::StrCat("with it the request has more than ", limits::kMessageElementsMax,
                           " messages, strings and numbers"));
}

absl::Status Undecodable(const grpc::ByteBuffer& buffer, const Descriptor& type) {
  if (const auto fault = FindFieldFault(Flatten(buffer), type)) {
    return InvalidField(fault->path, fault->problem);
  }
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                         absl::StrCat("the request is not a ", type.full_name()));
}

}  // namespace

std::optional<FieldFault> FindFieldFault(std::string_view bytes, const Descriptor& type) {
  return FindInMessage(bytes, type, "", 0);
}

std::optional<std::string> FindTooManyElements(google::protobuf::io::ZeroCopyInputStream* bytes,
                                               size_t size, const Descriptor& type,
                                               size_t elements_max) {
  CodedInputStream input(bytes);
  input.PushLimit(static_cast<int>(size));
  ElementCounter counter(input, elements_max);
  std::string path;
  if (counter.Count(type, 0, &path) || !counter.too_many()) return std::nullopt;
  return path;
}

absl::Status ParseRequest(grpc::ByteBuffer* buffer, google::protobuf::Message* message) {
  absl::Status status;
  // An empty message may come as no buffer at all.
  if (buffer->Valid()) {
    status = CheckElements(buffer, *message->GetDescriptor());
    grpc::ProtoBufferReader reader(buffer);
    if (status.ok() && !(reader.status().ok() && message->ParseFromZeroCopyStream(&reader))) {
      status = Undecodable(*buffer, *message->GetDescriptor());
    }
  }
  buffer->Clear();
  return status;
}

absl::Status SerializeResponse(const google::protobuf::Message& message, grpc::ByteBuffer* buffer) {
  const size_t bytes = message.ByteSizeLong();
  RETURN_IF_ERROR(AnswerRoom().Take(bytes));
  grpc::Slice slice(bytes);
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  grpc::ByteBuffer serialized(&slice, 1);
  buffer->Swap(&serialized);
  return absl::OkStatus();
}

google::protobuf::ArenaOptions ResponseArenaOptions() {
  google::protobuf::ArenaOptions options;
  options.start_block_size = 4 << 10;
  options.max_block_size = 64 << 10;
  return options;
}

}  // namespace tessera
