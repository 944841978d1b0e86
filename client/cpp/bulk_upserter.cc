#include "client/cpp/bulk_upserter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cpp/call_setup.h"
#include "client/cpp/error_details.h"

namespace tessera {

BulkUpserter::BulkUpserter(std::shared_ptr<v1::Points::Stub> stub, Options options,
                           const std::string& api_key)
    : stub_(std::move(stub)), options_(std::move(options)) {
  Prepare(context_, options_.timeout, api_key);
  stream_ = stub_->AsyncUpsertStream(&context_, &queue_, Tag(Step::kStart));
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
  waiting_since_ = absl::Now();
  const uint64_t window = std::max<size_t>(options_.chunks_in_flight_max, 1);
  while (writing_ || (reading_ && sent_chunks_ - acknowledged_chunks_ >= window)) Await();
  if (broken_ || !reading_) return End();
  chunk.set_collection_name(sent_chunks_ == 0 ? options_.collection_name : "");
  ++sent_chunks_;  // even if it does not arrive: End then knows that an answer is missing
  stream_->Write(chunk, Tag(Step::kWrite));
  writing_ = true;
  while (writing_) Await();
  return broken_ ? End() : absl::OkStatus();
}

absl::Status BulkUpserter::Finish() {
  if (finished_) return status_;
  waiting_since_ = absl::Now();
  while (writing_) Await();
  if (!broken_) {
    stream_->WritesDone(Tag(Step::kWrite));
    writing_ = true;
  }
  return End();
}

void BulkUpserter::Await() {
  const absl::Time deadline =
      stalled_ ? absl::InfiniteFuture() : waiting_since_ + options_.acknowledgement_timeout;
  void* tag = nullptr;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(deadline)) == queue_.GOT_EVENT) {
    Ended(static_cast<Step>(reinterpret_cast<uintptr_t>(tag)), ok);
  } else {
    stalled_ = true;
    context_.TryCancel();
  }
}

void BulkUpserter::Ended(Step step, bool ok) {
  if (step == Step::kEnd) ending_ = false;
  if (step == Step::kStart || step == Step::kWrite) {
    writing_ = false;
    broken_ = broken_ || !ok;
  }
  if (step == Step::kRead) {
    reading_ = ok;
    if (!ok) return;
    ++acknowledged_chunks_;
    acknowledged_points_ += response_.points();
    waiting_since_ = absl::Now();
  }
  // One read after the other, so that every answer that has arrived is seen.
  if (step == Step::kRead || (step == Step::kStart && ok)) {
    stream_->Read(&response_, Tag(Step::kRead));
    reading_ = true;
  }
}

absl::Status BulkUpserter::End() {
  // Answers that arrived before the end still count: what they acknowledge is on disk.
  while (writing_ || reading_) Await();
  grpc::Status status;
  stream_->Finish(&status, Tag(Step::kEnd));
  ending_ = true;
  while (ending_) Await();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {  // a queue must be empty when it goes
  }
  finished_ = true;
  status_ = StatusOfEnd(ToAbslStatus(status));
  return status_;
}

absl::Status BulkUpserter::StatusOfEnd(absl::Status status) const {
  const uint64_t missing = sent_chunks_ - acknowledged_chunks_;
  if (status.ok() && missing > 0) {
    return absl::InternalError(
        absl::StrCat("the server ended the stream with ", missing, " chunks unanswered"));
  }
  if (!status.ok() && stalled_) {
    return absl::DeadlineExceededError(
        absl::StrCat("the server did not acknowledge anything within ",
                     absl::FormatDuration(options_.acknowledgement_timeout)));
  }
  return status;
}

}  // namespace tessera
