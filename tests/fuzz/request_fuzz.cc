// A request, as any client may send it. The first byte chooses which.
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "server/rpc/request_parser.h"
#include "tessera/v1/collections.pb.h"
#include "tessera/v1/points.pb.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

std::unique_ptr<google::protobuf::Message> NewRequest(uint8_t choice) {
  switch (choice % 4) {
    case 0:
      return std::make_unique<tessera::v1::UpsertRequest>();
    case 1:
      return std::make_unique<tessera::v1::SearchBatchRequest>();
    case 2:
      return std::make_unique<tessera::v1::CountRequest>();
    default:
      return std::make_unique<tessera::v1::UpdateAliasesRequest>();
  }
}

bool HasTooMany(std::string_view bytes, const google::protobuf::Descriptor& type, size_t most) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()), 7);
  return tessera::FindTooManyElements(&stream, bytes.size(), type, most).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto request = NewRequest(data[0]);
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const grpc::Slice slice(bytes);
  grpc::ByteBuffer buffer(&slice, 1);
  const absl::Status status = tessera::ParseRequest(&buffer, request.get());
  FUZZ_CHECK(!buffer.Valid());
  const auto& type = *request->GetDescriptor();
  if (status.ok()) {
    const auto expected = NewRequest(data[0]);
    FUZZ_CHECK(expected->ParseFromString(bytes));
    FUZZ_CHECK(request->SerializeAsString() == expected->SerializeAsString());
    FUZZ_CHECK(!tessera::FindFieldFault(bytes, type).has_value());
  } else {
    FUZZ_CHECK(absl::IsInvalidArgument(status));
  }
  // Each takes two bytes, but for the last of a message that is cut short.
  FUZZ_CHECK(!HasTooMany(bytes, type, (bytes.size() + 1) / 2));
  bool before = true;
  for (size_t most = 0; most < 4; ++most) {
    const bool has = HasTooMany(bytes, type, most);
    FUZZ_CHECK(before || !has);
    before = has;
  }
  return 0;
}
