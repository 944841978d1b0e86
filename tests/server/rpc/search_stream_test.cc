#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr int kDimension = 8;
constexpr int kPoints = 500;

class SearchStreamTest : public ServerFixture {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::SearchStreamRequest, v1::SearchStreamResponse>;

  void SetUp() override {
    ServerFixture::SetUp();
    Fill();
  }

  void Fill() {
    Create("words", kDimension);
    v1::UpsertResponse written;
    ASSERT_TRUE(
        Call(*points_, &v1::Points::Stub::Upsert, Points("words", 1, kPoints, kDimension), &written)
            .ok());
  }

  static v1::SearchStreamRequest Search(uint64_t tag) {
    v1::SearchStreamRequest request;
    request.set_tag(tag);
    request.mutable_search()->set_collection_name("words");
    request.mutable_search()->set_limit(5);
    for (int t = 0; t < kDimension; ++t) {
      request.mutable_search()->mutable_vectors()->add_values(static_cast<float>(tag * 13 % 97) +
                                                              0.5f * static_cast<float>(t * t % 7));
    }
    return request;
  }
  static v1::SearchStreamRequest SearchById(uint64_t tag) {
    v1::SearchStreamRequest request = Search(tag);
    request.mutable_search()->clear_vectors();
    request.mutable_search()->mutable_ids()->add_num(1 + tag % kPoints);
    return request;
  }

  // What the call Search answers.
  v1::SearchResponse Alone(const v1::SearchRequest& request) {
    v1::SearchResponse response;
    const grpc::Status status = Call(*points_, &v1::Points::Stub::Search, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  static std::string Hits(const v1::SearchResponse& response) {
    std::string text;
    for (const auto& hit : response.results(0).hits()) {
      absl::StrAppend(&text, hit.id().num(), ":", hit.score(), " ");
    }
    return text;
  }

  // Writes `count` searches, all but the first without a collection: it is that of the one before.
  template <class RequestOf>
  static void WriteAll(uint64_t count, const RequestOf& request_of, Stream& stream) {
    for (uint64_t i = 0; i < count; ++i) {
      v1::SearchStreamRequest request = request_of(i);
      if (i > 0) request.mutable_search()->clear_collection_name();
      EXPECT_TRUE(stream.Write(request));
    }
    stream.WritesDone();
  }

  static CallError ErrorOf(const google::rpc::Status& error) {
    return CallError(grpc::Status(static_cast<grpc::StatusCode>(error.code()), error.message(),
                                  error.SerializeAsString()));
  }
};

TEST_F(SearchStreamTest, AnswersInOrderWhatTheCallAnswers) {
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  constexpr uint64_t kSearches = 300;
  const auto request_of = [](uint64_t i) { return i % 5 == 3 ? SearchById(i) : Search(i); };
  std::thread writer([&] { WriteAll(kSearches, request_of, *stream); });
  v1::SearchStreamResponse response;
  uint64_t answers = 0;
  for (; stream->Read(&response); ++answers) {
    EXPECT_EQ(response.tag(), answers);
    ASSERT_TRUE(response.has_response()) << response.ShortDebugString();
    EXPECT_EQ(Hits(response.response()), Hits(Alone(request_of(answers).search())));
  }
  writer.join();
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answers, kSearches);
}

TEST_F(SearchStreamTest, ASearchThatFailsHasItsErrorAsItsAnswer) {
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  std::vector<v1::SearchStreamRequest> requests;
  for (uint64_t tag = 0; tag < 6; ++tag) requests.push_back(Search(tag));
  requests[1].mutable_search()->set_limit(0);
  requests[2].mutable_search()->set_collection_name("absent");
  requests[3].mutable_search()->set_collection_name("words");
  requests[4].mutable_search()->clear_vectors();
  requests[4].mutable_search()->mutable_ids()->add_num(123456);
  for (const auto& request : requests) ASSERT_TRUE(stream->Write(request));
  stream->WritesDone();
  std::vector<v1::SearchStreamResponse> responses(1);
  while (stream->Read(&responses.back())) responses.emplace_back();
  responses.pop_back();
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(responses.size(), requests.size());
  for (uint64_t tag = 0; tag < 6; ++tag) {
    EXPECT_EQ(responses[tag].tag(), tag);
    EXPECT_EQ(responses[tag].has_response(), tag == 0 || tag == 3 || tag == 5) << tag;
  }
  EXPECT_EQ(ErrorOf(responses[1].error()).code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ErrorOf(responses[1].error()).field, "limit");
  EXPECT_EQ(ErrorOf(responses[2].error()).code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ErrorOf(responses[2].error()).resource, "collection");
  EXPECT_EQ(ErrorOf(responses[4].error()).resource, "point");
}

TEST_F(SearchStreamTest, LargeSearchesKeepTheirPlace) {
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  std::vector<v1::SearchStreamRequest> requests;
  for (uint64_t tag = 0; tag < 20; ++tag) {
    requests.push_back(Search(tag));
    if (tag % 4 != 1) continue;
    v1::SearchRequest& search = *requests.back().mutable_search();
    for (int i = 0; i < kDimension * 3'000; ++i) search.mutable_vectors()->add_values(1);
    ASSERT_GT(requests.back().ByteSizeLong(), limits::kGatheredSearchBytesMax);
  }
  std::thread writer([&] {
    WriteAll(
        requests.size(), [&](uint64_t i) { return requests[i]; }, *stream);
  });
  v1::SearchStreamResponse response;
  uint64_t answers = 0;
  for (; stream->Read(&response); ++answers) {
    EXPECT_EQ(response.tag(), answers);
    ASSERT_TRUE(response.has_response()) << response.ShortDebugString();
    EXPECT_EQ(response.response().results_size(), answers % 4 == 1 ? 3'001 : 1);
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answers, requests.size());
}

// What is allocated in this process, the server's and the client's.
size_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_F(SearchStreamTest, UnreadAnswersDoNotHoldTheirRequests) {
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  v1::UpsertRequest heavy = Points("words", kPoints + 1, 1, kDimension);
  for (float& value : *heavy.mutable_vectors()->mutable_values()) value = 1'000;
  heavy.add_payloads(absl::StrCat("{\"a\":\"", std::string(60'000, 'a'), "\"}"));
  v1::UpsertResponse written;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Upsert, heavy, &written).ok());
  // Its answer, 30 MB, is more than may be under way and holds up those behind it.
  v1::SearchStreamRequest first = Search(0);
  first.mutable_search()->set_limit(1);
  first.mutable_search()->mutable_with_payload()->set_enable(true);
  first.mutable_search()->mutable_vectors()->mutable_values()->Resize(kDimension * 500, 1'000);
  ASSERT_TRUE(stream->Write(first));
  const size_t before = AllocatedBytes();
  constexpr size_t kRequestBytes = size_t{4} << 20;
  constexpr size_t kRequests = 40;
  static_assert(kRequests < limits::kSearchStreamInFlightMax);
  v1::SearchStreamRequest request;
  request.mutable_search()->mutable_vectors()->set_data(std::string(kRequestBytes + 1, 'a'));
  for (size_t i = 0; i < kRequests; ++i) {
    request.set_tag(i + 1);
    ASSERT_TRUE(stream->Write(request));
  }
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (AllocatedBytes() > before + kRequests * kRequestBytes / 2 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_LE(AllocatedBytes(), before + kRequests * kRequestBytes / 2);
  stream->WritesDone();
  v1::SearchStreamResponse response;
  for (size_t tag = 0; tag <= kRequests; ++tag) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.tag(), tag);
    EXPECT_EQ(response.has_error(), tag > 0) << response.error().message();
  }
  EXPECT_TRUE(stream->Finish().ok());
}

// Each answer may be as large as a message: the client that reads none has the server hold two.
TEST_F(SearchStreamTest, UnreadAnswersKeepFurtherSearchesUnread) {
  constexpr size_t kHeavy = 400;
  constexpr size_t kPayloadBytes = 60'000;
  v1::UpsertRequest heavy = Points("words", kPoints + 1, kHeavy, kDimension);
  for (float& value : *heavy.mutable_vectors()->mutable_values()) value += 1'000;
  for (size_t i = 0; i < kHeavy; ++i) {
    heavy.add_payloads(absl::StrCat("{\"a\":\"", std::string(kPayloadBytes, 'a'), "\"}"));
  }
  v1::UpsertResponse written;
  ASSERT_TRUE(Call(*points_, &v1::Points::Stub::Upsert, heavy, &written).ok());
  constexpr uint64_t kSearches = 40;
  constexpr size_t kAnswerBytes = kHeavy * kPayloadBytes;
  static_assert(kSearches < limits::kSearchStreamInFlightMax);
  static_assert(kSearches * kAnswerBytes > 10 * limits::kMessageBytesMax);
  const auto search = [](uint64_t tag) {
    v1::SearchStreamRequest request = Search(tag);
    for (float& value : *request.mutable_search()->mutable_vectors()->mutable_values()) {
      value += 1'000;
    }
    request.mutable_search()->set_limit(kHeavy);
    request.mutable_search()->mutable_with_payload()->set_enable(true);
    return request;
  };
  const size_t before = AllocatedBytes();
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  for (uint64_t tag = 0; tag < kSearches; ++tag) ASSERT_TRUE(stream->Write(search(tag)));
  size_t most = 0;
  for (int i = 0; i < 100; ++i) {
    absl::SleepFor(absl::Milliseconds(20));
    most = std::max(most, AllocatedBytes() - before);
  }
  // What is being sent is there twice, and while it is made.
  EXPECT_LT(most, 5 * limits::kMessageBytesMax);
  stream->WritesDone();
  v1::SearchStreamResponse response;
  for (uint64_t tag = 0; tag < kSearches; ++tag) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.tag(), tag);
    EXPECT_GT(response.ByteSizeLong(), kAnswerBytes);
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(SearchStreamTest, AStreamWithoutSearchesIsFine) {
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  stream->WritesDone();
  v1::SearchStreamResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(SearchStreamTest, CancellingAndDeadlinesLeaveTheServerWell) {
  for (int i = 0; i < 40; ++i) {
    grpc::ClientContext context;
    if (i % 2 == 1) context.set_deadline(std::chrono::system_clock::now());
    const auto stream = points_->SearchStream(&context);
    for (uint64_t tag = 0; tag < 20; ++tag) stream->Write(Search(tag));
    if (i % 2 == 0) context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
  }
  EXPECT_EQ(Alone(Search(1).search()).results_size(), 1);
}

TEST_F(SearchStreamTest, AStoppingServerEndsAnIdleStream) {
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  ASSERT_TRUE(stream->Write(Search(7)));
  v1::SearchStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_->Shutdown(absl::Seconds(60));
  EXPECT_FALSE(stream->Read(&response));
  const CallError error(stream->Finish());
  EXPECT_EQ(error.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(error.reason, "SERVER_STOPPING");
}

// One search thread, whose reads of points wait at a gate.
class GatedSearchStreamTest : public SearchStreamTest {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    ServeThroughGate(gate_);
    Fill();
    base_ = gate_.arrived();
  }

  Gate gate_;
  int base_ = 0;  // who came to the gate before the test
};

TEST_F(GatedSearchStreamTest, AStoppingServerAnswersWhatItHasRead) {
  gate_.Close();
  grpc::ClientContext context;
  const auto stream = points_->SearchStream(&context);
  ASSERT_TRUE(stream->Write(SearchById(0)));
  gate_.AwaitArrived(base_ + 1);
  std::thread stopper([&] { server_->Shutdown(absl::Minutes(2)); });
  absl::SleepFor(absl::Milliseconds(300));
  gate_.Open();
  v1::SearchStreamResponse response;
  EXPECT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.has_response());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(CallError(stream->Finish()).reason, "SERVER_STOPPING");
  stopper.join();
}

// Streams fill the queue; what comes behind them is refused, on a stream of its own and on theirs,
// and each stream still serves when there is room again.
TEST_F(GatedSearchStreamTest, WhatDoesNotFitTheQueueIsRefusedAndTheStreamGoesOn) {
  constexpr size_t kEach = limits::kSearchStreamInFlightMax;
  constexpr size_t kStreams = limits::kSearchQueueMax / kEach + 4;
  static_assert(kStreams < limits::kStreamsPerConnectionMax);
  gate_.Close();
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Stream>> streams;
  const auto open_stream = [&] {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(points_->SearchStream(contexts.back().get()));
  };
  for (size_t s = 0; s < kStreams; ++s) {
    open_stream();
    // By id: they do not run together, and each waits at the gate.
    for (uint64_t tag = 0; tag < kEach; ++tag) ASSERT_TRUE(streams.back()->Write(SearchById(tag)));
  }
  // The queue is full once a call is refused; it stays so until the gate opens.
  CallError error(grpc::Status::OK);
  while (error.reason != "SERVER_BUSY") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
    v1::SearchResponse ignored;
    error = CallError(points_->Search(&context, SearchById(0).search(), &ignored));
    ASSERT_NE(error.code, grpc::StatusCode::OK);
  }
  open_stream();
  ASSERT_TRUE(streams.back()->Write(SearchById(77)));
  v1::SearchStreamResponse response;
  ASSERT_TRUE(streams.back()->Read(&response));
  EXPECT_EQ(response.tag(), 77u);
  EXPECT_EQ(ErrorOf(response.error()).reason, "SERVER_BUSY");
  EXPECT_TRUE(ErrorOf(response.error()).retry);
  EXPECT_EQ(gate_.arrived(), base_ + 1);

  gate_.Open();
  for (size_t s = 0; s <= kStreams; ++s) {
    for (uint64_t tag = 0; s < kStreams && tag < kEach; ++tag) {
      ASSERT_TRUE(streams[s]->Read(&response));
      EXPECT_EQ(response.tag(), tag);
      if (response.has_error()) {
        EXPECT_EQ(ErrorOf(response.error()).reason, "SERVER_BUSY");
      }
    }
    do {
      ASSERT_TRUE(streams[s]->Write(SearchById(7)));
      ASSERT_TRUE(streams[s]->Read(&response));
    } while (response.has_error());
    EXPECT_EQ(response.tag(), 7u);
    streams[s]->WritesDone();
    EXPECT_TRUE(streams[s]->Finish().ok());
  }
}

}  // namespace
}  // namespace tessera
