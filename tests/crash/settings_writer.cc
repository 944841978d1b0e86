#include "tests/crash/settings_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tessera {
namespace {

// Between two changes, so that the other writers have the disk most of the time.
constexpr absl::Duration kPause = absl::Milliseconds(2);

}  // namespace

void SettingsWriter::Run(Client& client) {
  v1::UpdateCollectionRequest request;
  request.set_collection_name(collection_);
  request.mutable_update_mask()->add_paths("metadata");
  while (true) {
    in_flight_ = absl::StrCat("{\"change\":", next_++, "}");
    request.set_metadata(in_flight_);
    last_error_ = client.UpdateCollection(request).status();
    if (!last_error_.ok()) return;
    metadata_ = std::exchange(in_flight_, "");
    ++changes_acknowledged_;
    absl::SleepFor(kPause);
  }
}

absl::Status SettingsWriter::Reconcile(const v1::Collection& stored) {
  const std::string in_flight = std::exchange(in_flight_, "");
  if (stored.metadata() != metadata_ && (in_flight.empty() || stored.metadata() != in_flight)) {
    return absl::DataLossError(absl::StrCat("metadata is \"", stored.metadata(), "\" and not \"",
                                            metadata_, "\", acknowledged, or \"", in_flight,
                                            "\", in flight"));
  }
  metadata_ = stored.metadata();
  return absl::OkStatus();
}

}  // namespace tessera
