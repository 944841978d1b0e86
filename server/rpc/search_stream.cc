#include "server/rpc/search_stream.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_points.h"
#include "server/rpc/points_handlers.h"
#include "server/rpc/request_parser.h"
#include "server/rpc/rpc_status.h"
#include "server/rpc/unary_call.h"
#include "tessera/v1/points.pb.h"

namespace tessera {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Reads a search's message up to the end that `input` is limited to. False if it is damaged.
bool ReadCollection(CodedInputStream& input, std::string* collection) {
  constexpr uint32_t kName = WireFormatLite::MakeTag(v1::SearchRequest::kCollectionNameFieldNumber,
                                                     WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  while (const uint32_t key = input.ReadTag()) {
    const bool read = key == kName ? WireFormatLite::ReadString(&input, collection)
                                   : WireFormatLite::SkipField(&input, key);
    if (!read) return false;
  }
  return true;
}

// The tag and the collection's name of a message that is not to be parsed: the rest may be large.
void ReadHead(grpc::ByteBuffer* bytes, uint64_t* tag, std::string* collection) {
  constexpr uint32_t kTag = WireFormatLite::MakeTag(v1::SearchStreamRequest::kTagFieldNumber,
                                                    WireFormatLite::WIRETYPE_VARINT);
  constexpr uint32_t kSearch = WireFormatLite::MakeTag(v1::SearchStreamRequest::kSearchFieldNumber,
                                                       WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  grpc::ProtoBufferReader reader(bytes);
  if (!reader.status().ok()) return;
  CodedInputStream input(&reader);
  while (const uint32_t key = input.ReadTag()) {
    bool read = false;
    if (key == kTag) {
      read = input.ReadVarint64(tag);
    } else if (key == kSearch) {
      const auto limit = input.ReadLengthAndPushLimit();
      read =
          ReadCollection(input, collection) && input.CheckEntireMessageConsumedAndPopLimit(limit);
    } else {
      read = WireFormatLite::SkipField(&input, key);
    }
    if (!read) return;
  }
}

// Of a hit's id, score and bounds in an answer, at most.
constexpr size_t kHitBytesMost = 512;

// What the answer may take at most. A larger one is refused.
size_t AnswerBytesMost(const SearchRequest& search) {
  size_t hit = kHitBytesMost;
  if (search.fields.payload.enabled) hit += limits::kPayloadBytesMax;
  if (search.fields.vector) hit += limits::kDimensionMax * sizeof(float);
  const size_t queries = std::max<size_t>({1, search.vectors.rows, search.ids.size()});
  // Within kSearchResultsMax: ParseSearch has seen to it.
  return std::min(queries * search.limit * hit, limits::kMessageBytesMax);
}

// Items are in items_ from when they are read until their answers have left, in the order in which
// they came. Every event ends in Advance, which decides under the lock what comes next. The stream
// ends only when items_ is empty, so that it outlives what works on its items.
class SearchStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                           public StoppableStream {
 public:
  SearchStream(const ServiceEnv& env, SearchGatherer& gatherer)
      : env_(env), gatherer_(gatherer), hold_(env.calls) {}

  void Start(const grpc::CallbackServerContext& context) {
    const absl::StatusOr<Engine*> engine = env_.Admit("Points.SearchStream", context);
    if (!engine.ok()) {
      {
        absl::MutexLock lock(&mutex_);
        finished_ = true;
      }
      Finish(ToGrpcStatus(engine.status()));
      return;
    }
    {
      absl::MutexLock lock(&mutex_);
      engine_ = *engine;
      reading_ = true;
      StartRead(&incoming_);
    }
    env_.streams.Add(this);
  }

  // gRPC keeps the stream at least until this returns.
  void OnReadDone(bool ok) override {
    Item* item = nullptr;
    bool only_one = false;
    {
      absl::MutexLock lock(&mutex_);
      reading_ = false;
      // A message may come after the stream has been told to end, and nothing keeps the stream for
      // the sake of a search that begins then.
      if (ok && end_.ok()) {
        items_.push_back(std::make_unique<Item>(*this, incoming_));
        item = items_.back().get();
        parsing_ = true;
        only_one = items_.size() == 1;
      } else {
        no_more_ = true;
      }
    }
    if (item == nullptr) {
      Advance(nullptr);
    } else if (!SearchGatherer::IsSmall(*item)) {
      if (!gatherer_.RunLarge(*engine_, item)) item->RefuseUnparsed();
    } else if (item->Parse(*engine_)) {
      gatherer_.Run(*engine_, item, only_one);
    }
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      Hold(*items_.front(), 0);
      items_.pop_front();
    }
    if (!ok) Leave(absl::CancelledError("the client has gone"));
    Advance(nullptr);
  }

  void OnCancel() override {
    Leave(CallCancelled());
    Advance(nullptr);
  }

  void Stop() override {
    {
      absl::MutexLock lock(&mutex_);
      if (end_.ok()) end_ = ServerStoppingError();
    }
    Advance(nullptr);
  }

  void OnDone() override {
    env_.streams.Remove(this);
    delete this;
  }

 private:
  // One search. Belongs to whoever works on it until it is answered, and then to the stream.
  class Item final : public PendingSearch {
   public:
    // Takes the message out of `bytes`.
    Item(SearchStream& stream, grpc::ByteBuffer& bytes) : stream_(stream) { bytes_.Swap(&bytes); }

    size_t request_bytes() const override { return bytes_.Valid() ? bytes_.Length() : 0; }
    const SearchRequest& search() const override { return search_; }

    bool Parse(Engine& engine) override {
      const absl::Status status = RunGuarded([&] { return ParseMessage(engine); });
      if (!status.ok()) {
        Answer(status);
        return false;
      }
      stream_.DoneParsing(this);
      return true;
    }

    bool StillWanted() override {
      if (!stream_.left_.load(std::memory_order_relaxed)) return true;
      Answer(CallCancelled());
      return false;
    }

    void Answer(SearchResult&& result) override {
      const absl::Status status = RunGuarded([&] {
        return Serialize([&](v1::SearchStreamResponse* message) {
          FromSearchResult(std::move(result), message->mutable_response());
        });
      });
      if (!status.ok()) return Answer(status);
      GoOn();
    }

    void Answer(const absl::Status& status) override {
      stream_.env_.Note("Points.SearchStream", status);
      // Cannot fail: it is small.
      RunGuarded([&] {
        return Serialize([&](v1::SearchStreamResponse* message) {
          *message->mutable_error() = ToRpcStatus(status);
        });
      }).IgnoreError();
      GoOn();
    }

    // The answer still has the tag, and the collection's name is left to the message after it.
    void RefuseUnparsed() {
      const absl::Status status = RunGuarded([&] {
        uint64_t tag = 0;
        std::string collection;
        ReadHead(&bytes_, &tag, &collection);
        request_.set_tag(tag);
        // What is no name would fail when the message is parsed, and be left to none.
        const bool is_name = ValidUtf8Prefix(collection) == collection.size();
        if (is_name && !collection.empty()) stream_.collection_ = std::move(collection);
        return ServerBusyError();
      });
      Answer(status);
    }

    const grpc::ByteBuffer* answer() const { return &answer_; }

    // Guarded by the stream's mutex.
    bool parsed = false;
    bool done = false;
    size_t held_bytes = 0;  // that its answer takes, or may take

   private:
    absl::Status ParseMessage(Engine& engine) {
      RETURN_IF_ERROR(ParseRequest(&bytes_, &request_));
      v1::SearchRequest& search = *request_.mutable_search();
      if (search.collection_name().empty()) {
        search.set_collection_name(stream_.collection_);
      } else {
        stream_.collection_ = search.collection_name();
      }
      ASSIGN_OR_RETURN(search_, ParseSearch(engine, search));
      return absl::OkStatus();
    }

    // Once it is answered. The request goes first: the client may leave the answer unread for long.
    void GoOn() {
      bytes_.Clear();
      search_ = SearchRequest();
      request_ = v1::SearchStreamRequest();
      stream_.Advance(this);
    }

    template <typename Fill>
    absl::Status Serialize(Fill fill) {
      google::protobuf::Arena arena(ResponseArenaOptions());
      auto* message = google::protobuf::Arena::CreateMessage<v1::SearchStreamResponse>(&arena);
      message->set_tag(request_.tag());
      fill(message);
      answer_.Clear();
      return SerializeResponse(*message, &answer_);
    }

    SearchStream& stream_;
    grpc::ByteBuffer bytes_;
    v1::SearchStreamRequest request_;
    SearchRequest search_;  // views request_
    grpc::ByteBuffer answer_;
  };

  // The next message may be read: it can leave the collection's name to this one.
  void DoneParsing(Item* item) {
    {
      absl::MutexLock lock(&mutex_);
      item->parsed = true;
      Hold(*item, AnswerBytesMost(item->search()));
      parsing_ = false;
    }
    Advance(nullptr);
  }

  void Leave(absl::Status why) {
    left_.store(true, std::memory_order_relaxed);
    absl::MutexLock lock(&mutex_);
    if (end_.ok()) end_ = std::move(why);
  }

  // `answered`: an item that nobody works on any more, if there is a new one. Finish is called
  // outside of the lock and once: it may delete the stream, as may whoever has the lock next.
  void Advance(Item* answered) {
    absl::Status finish;
    {
      absl::MutexLock lock(&mutex_);
      if (answered != nullptr) {
        answered->done = true;
        Hold(*answered, answered->answer()->Length());
        if (!answered->parsed) parsing_ = false;
      }
      if (finished_) return;
      if (left_.load(std::memory_order_relaxed)) DropAnswers();
      if (!writing_ && !items_.empty() && items_.front()->done) WriteAnswer();
      const bool going_on = end_.ok() && !no_more_;
      if (going_on || !items_.empty()) {
        const bool room = items_.size() < limits::kSearchStreamInFlightMax &&
                          held_bytes_ < limits::kMessageBytesMax && !parsing_;
        if (going_on && !reading_ && room) {
          reading_ = true;
          StartRead(&incoming_);
        }
        return;
      }
      finished_ = true;
      finish = end_;
    }
    Finish(ToGrpcStatus(finish));
  }

  void Hold(Item& item, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    held_bytes_ += bytes - item.held_bytes;
    item.held_bytes = bytes;
  }

  void WriteAnswer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    grpc::WriteOptions options;
    // One system call for all that are ready.
    if (items_.size() > 1 && items_[1]->done) options.set_buffer_hint();
    StartWrite(items_.front()->answer(), options);
  }

  // Nobody reads them any more.
  void DropAnswers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const size_t first = writing_ ? 1 : 0;
    while (items_.size() > first && items_[first]->done) {
      Hold(*items_[first], 0);
      items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(first));
    }
  }

  const ServiceEnv& env_;
  SearchGatherer& gatherer_;
  const CallCounter::Hold hold_;
  Engine* engine_ = nullptr;
  std::string collection_;     // of the message before; nothing is read while one is parsed
  grpc::ByteBuffer incoming_;  // being read
  std::atomic<bool> left_{false};

  absl::Mutex mutex_;
  std::deque<std::unique_ptr<Item>> items_ ABSL_GUARDED_BY(mutex_);
  size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of all items
  absl::Status end_ ABSL_GUARDED_BY(mutex_);       // not OK: how the stream is to end
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool parsing_ ABSL_GUARDED_BY(mutex_) = false;  // the last of items_; nothing is read meanwhile
  bool no_more_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartSearchStream(
    const ServiceEnv& env, SearchGatherer& gatherer, const grpc::CallbackServerContext& context) {
  auto* stream = new SearchStream(env, gatherer);
  stream->Start(context);
  return stream;
}

}  // namespace tessera
