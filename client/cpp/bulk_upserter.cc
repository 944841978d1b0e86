#include "client/cpp/bulk_upserter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/error_details.h"

namespace tessera {

BulkUpserter::BulkUpserter(std::shared_ptr<v1::Points::Stub> stub, Options options)
    : stub_(std::move(stub)), options_(std::move(options)) {
  if (options_.timeout != absl::InfiniteDuration()) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
  }
  stream_ = stub_->UpsertStream(&context_);
}

BulkUpserter::~BulkUpserter() {
  if (finished_) return;
  context_.TryCancel();
  End().IgnoreError();
}

absl::Status BulkUpserter::Write(v1::UpsertRequest chunk) {
  if (finished_) {
    return status_.ok() ? absl::FailedPreconditionError("the bulk upsert is finished") : status_;
  }
  const uint64_t window = std::max<size_t>(options_.chunks_in_flight_max, 1);
  while (sent_chunks_ - acknowledged_chunks_ >= window) {
    if (!ReadOne()) return End();
  }
  chunk.set_collection_name(sent_chunks_ == 0 ? options_.collection_name : "");
  ++sent_chunks_;  // even if it does not arrive: End then knows that an answer is missing
  if (!stream_->Write(chunk)) return End();
  return absl::OkStatus();
}

absl::Status BulkUpserter::Finish() {
  if (finished_) return status_;
  stream_->WritesDone();
  while (acknowledged_chunks_ < sent_chunks_) {
    if (!ReadOne()) break;
  }
  return End();
}

bool BulkUpserter::ReadOne() {
  v1::UpsertResponse response;
  if (!stream_->Read(&response)) return false;
  ++acknowledged_chunks_;
  acknowledged_points_ += response.points();
  return true;
}

absl::Status BulkUpserter::End() {
  // Answers that arrived before the end still count: what they acknowledge is on disk.
  while (ReadOne()) {
  }
  finished_ = true;
  status_ = ToAbslStatus(stream_->Finish());
  if (status_.ok() && acknowledged_chunks_ < sent_chunks_) {
    status_ = absl::InternalError(absl::StrCat("the server ended the stream with ",
                                               sent_chunks_ - acknowledged_chunks_,
                                               " chunks unanswered"));
  }
  return status_;
}

}  // namespace tessera
