// What the Points service refuses, over the wire: code, reason and field, and nothing changed.
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "client/cpp/error_details.h"
#include "client/cpp/vectors.h"
#include "grpcpp/grpcpp.h"
#include "index/base/limits.h"
#include "tessera/v1/points.grpc.pb.h"
#include "tests/integration/bad_input.h"

namespace tessera {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class BadPointsTest : public BadInputTest {
 protected:
  using Change = std::function<void(v1::UpsertRequest&)>;

  // An upsert of ids 1000 and 1001 that is right but for `change`.
  static v1::UpsertRequest GoodUpsert() {
    v1::UpsertRequest request;
    request.set_collection_name("trained");
    request.mutable_ids()->add_num(1'000);
    request.mutable_ids()->add_num(1'001);
    *request.mutable_vectors() = MakeVectors(Floats(2 * kDimension));
    return request;
  }

  static BadInput Upsert(std::string name, std::string field, Change change) {
    v1::UpsertRequest request = GoodUpsert();
    change(request);
    return {.name = std::move(name),
            .call = [request](Client& client) { return client.Upsert(request).status(); },
            .field = std::move(field)};
  }

  static BadInput UpsertValues(std::string name, std::string field, std::vector<float> values,
                               const char* collection = "trained") {
    return Upsert(std::move(name), std::move(field), [&](v1::UpsertRequest& request) {
      request.set_collection_name(collection);
      request.mutable_vectors()->Clear();
      request.mutable_vectors()->mutable_values()->Add(values.begin(), values.end());
    });
  }

  static BadInput Search(std::string name, std::string field,
                         std::function<void(v1::SearchRequest&)> change) {
    v1::SearchRequest request = MakeSearch("trained", Floats(kDimension), 10);
    change(request);
    return {.name = std::move(name),
            .call = [request](Client& client) { return client.Search(request).status(); },
            .field = std::move(field)};
  }

  // The same faults in the ids of Get and of Delete.
  template <typename Request, typename Call>
  static std::vector<BadInput> BadIds(const std::string& method, Call call) {
    const auto make = [&](const char* what, const char* field, auto change) {
      Request request;
      request.set_collection_name("trained");
      change(request);
      return BadInput{.name = method + ": " + what,
                      .call = [=](Client& client) { return call(client, request); },
                      .field = field};
    };
    std::vector<BadInput> inputs = {
        make("no ids", "ids", [](Request&) {}),
        make("both kinds of ids", "ids",
             [](Request& request) {
               request.mutable_ids()->add_num(1);
               request.mutable_ids()->add_str("one");
             }),
        make("an empty id", "ids.str[1]",
             [](Request& request) {
               request.mutable_ids()->add_str("a");
               request.mutable_ids()->add_str("");
             }),
        make("an id that is too long", "ids.str[0]",
             [](Request& request) {
               request.mutable_ids()->add_str(std::string(limits::kStringIdBytesMax + 1, 'x'));
             }),
        make("an id that is not UTF-8", "ids.str[0]",
             [](Request& request) { request.mutable_ids()->add_str("\xFF"); }),
        make("too many ids", "ids",
             [](Request& request) {
               for (size_t i = 0; i <= limits::kIdsPerRequestMax; ++i) {
                 request.mutable_ids()->add_num(i);
               }
             }),
        make("no collection name", "collection_name",
             [](Request& request) {
               request.clear_collection_name();
               request.mutable_ids()->add_num(1);
             }),
    };
    BadInput unknown = make("unknown collection", "", [](Request& request) {
      request.set_collection_name("nonsense");
      request.mutable_ids()->add_num(1);
    });
    unknown.code = absl::StatusCode::kNotFound;
    unknown.reason = "NOT_FOUND";
    inputs.push_back(unknown);
    return inputs;
  }
};

TEST_F(BadPointsTest, VectorsOfAnUpsert) {
  std::vector<float> with_nan = Floats(2 * kDimension);
  with_nan[kDimension] = kNan;
  std::vector<float> with_infinity = Floats(2 * kDimension);
  with_infinity[3] = -kInfinity;
  std::vector<float> over_limit = Floats(2 * kDimension);
  over_limit[7] = static_cast<float>(2 * limits::kComponentMax);
  std::vector<float> with_fraction = Floats(2 * kDimension);
  with_fraction[5] = 1.5f;
  std::vector<float> too_large = Floats(2 * kDimension);
  too_large[5] = 256;
  ExpectRefused({
      UpsertValues("wrong dimension", "vectors.values", Floats(2 * kDimension + 2)),
      UpsertValues("one vector for two ids", "vectors.values", Floats(kDimension)),
      UpsertValues("NaN", "vectors", with_nan),
      UpsertValues("infinity", "vectors", with_infinity),
      UpsertValues("a component over the limit", "vectors", over_limit),
      UpsertValues("a fraction for UINT8", "vectors", with_fraction, "bytes"),
      UpsertValues("256 for UINT8", "vectors", too_large, "bytes"),
      UpsertValues("no vectors", "vectors", {}),
      Upsert("both values and data", "vectors",
             [](auto& request) { request.mutable_vectors()->add_values(1); }),
      Upsert("half a component", "vectors.data",
             [](auto& request) { request.mutable_vectors()->mutable_data()->pop_back(); }),
      Upsert("an unknown element type", "vectors.element_type",
             [](auto& request) {
               request.mutable_vectors()->set_element_type(static_cast<v1::ElementType>(77));
             }),
      Upsert("NaN in the bytes of a half", "vectors",
             [](auto& request) {
               std::string halves(2 * 2 * kDimension, '\0');
               halves[4] = '\x01';
               halves[5] = '\x7E';
               *request.mutable_vectors() = MakeVectors(halves, ElementType::kFloat16);
             }),
  });
}

TEST_F(BadPointsTest, IdsOfAnUpsert) {
  const auto strings = [](const std::string& first, const std::string& second) {
    return [=](v1::UpsertRequest& request) {
      request.mutable_ids()->Clear();
      request.mutable_ids()->add_str(first);
      request.mutable_ids()->add_str(second);
    };
  };
  ExpectRefused({
      Upsert("no ids", "ids", [](auto& request) { request.clear_ids(); }),
      Upsert("both kinds", "ids", [](auto& request) { request.mutable_ids()->add_str("x"); }),
      Upsert("an id twice", "ids", [](auto& request) { request.mutable_ids()->set_num(1, 1'000); }),
      Upsert("an empty id", "ids.str[0]", strings("", "b")),
      Upsert("a long id", "ids.str[1]",
             strings("a", std::string(limits::kStringIdBytesMax + 1, 'x'))),
      Upsert("not UTF-8", "ids.str[1]", strings("a", "\xC3\x28")),
      Upsert("a collection name that is not UTF-8", "collection_name",
             [](auto& request) { request.set_collection_name("\xFF"); }),
      Upsert("too many points", "ids",
             [](auto& request) {
               for (uint64_t i = 0; i <= limits::kUpsertPointsMax; ++i) {
                 request.mutable_ids()->add_num(2'000 + i);
               }
             }),
  });
}

TEST_F(BadPointsTest, PayloadsOfAnUpsert) {
  const auto second = [](const std::string& payload) {
    return [=](v1::UpsertRequest& request) {
      request.add_payloads("{}");
      request.add_payloads(payload);
    };
  };
  std::string deep;
  for (size_t i = 0; i <= limits::kPayloadDepthMax; ++i) deep += "{\"a\":";
  deep += "1" + std::string(limits::kPayloadDepthMax + 1, '}');
  std::string long_payload = "{\"a\":\"" + std::string(limits::kPayloadBytesMax, 'x') + "\"}";
  ExpectRefused({
      Upsert("one payload for two ids", "payloads",
             [](auto& request) { request.add_payloads("{}"); }),
      Upsert("three payloads for two ids", "payloads",
             [](auto& request) {
               for (int i = 0; i < 3; ++i) request.add_payloads("{}");
             }),
      Upsert("cut short", "payloads[1]", second("{\"word\": ")),
      Upsert("text behind the object", "payloads[1]", second("{} {}")),
      Upsert("an array", "payloads[1]", second("[1]")),
      Upsert("a number", "payloads[1]", second("7")),
      Upsert("a number beyond a double", "payloads[1]", second("{\"a\": 1e999}")),
      Upsert("nested too deeply", "payloads[1]", second(deep)),
      Upsert("too long", "payloads[1]", second(long_payload)),
      Upsert("not UTF-8", "payloads[1]", second("{\"a\": \"\xFF\"}")),
  });
}

TEST_F(BadPointsTest, Searches) {
  BadInput missing = Search("a stored point that is not there", "", [](auto& request) {
    request.clear_vectors();
    request.mutable_ids()->add_num(0);
    request.mutable_ids()->add_num(999'999);
  });
  missing.code = absl::StatusCode::kNotFound;
  missing.reason = "NOT_FOUND";
  BadInput unknown =
      Search("unknown collection", "", [](auto& r) { r.set_collection_name("nonsense"); });
  unknown.code = absl::StatusCode::kNotFound;
  unknown.reason = "NOT_FOUND";
  const auto values = [](std::vector<float> floats) {
    return [=](v1::SearchRequest& request) {
      request.mutable_vectors()->Clear();
      request.mutable_vectors()->mutable_values()->Add(floats.begin(), floats.end());
    };
  };
  ExpectRefused({
      missing,
      unknown,
      Search("k = 0", "limit", [](auto& r) { r.set_limit(0); }),
      Search("k over the limit", "limit",
             [](auto& r) { r.set_limit(limits::kSearchLimitMax + 1); }),
      Search("too many results", "limit",
             [](auto& r) {
               *r.mutable_vectors() = MakeVectors(Floats(101 * kDimension));
               r.set_limit(limits::kSearchLimitMax);
             }),
      Search("too many queries", "vectors.data",
             [](auto& r) {
               *r.mutable_vectors() =
                   MakeVectors(Floats((limits::kSearchQueriesMax + 1) * kDimension));
               r.set_limit(1);
             }),
      Search("wrong dimension", "vectors.values", values(Floats(kDimension - 1))),
      Search("NaN", "vectors", values({1, 2, 3, kNan, 5, 6, 7, 8})),
      Search("infinity", "vectors", values({1, 2, 3, kInfinity, 5, 6, 7, 8})),
      Search("a component over the limit", "vectors", values({1, 2, 3, 3e38f, 5, 6, 7, 8})),
      Search("neither vectors nor ids", "vectors", [](auto& r) { r.clear_vectors(); }),
      Search("both vectors and ids", "vectors", [](auto& r) { r.mutable_ids()->add_num(1); }),
      Search("nprobe over the limit", "params.nprobe",
             [](auto& r) { r.mutable_params()->set_nprobe(limits::kListsMax + 1); }),
      Search("rerank over the limit", "params.rerank",
             [](auto& r) { r.mutable_params()->set_rerank(limits::kRerankMax + 1); }),
      Search("a recall of nothing", "params.target_recall",
             [](auto& r) { r.mutable_params()->set_target_recall(0); }),
      Search("a recall of more than all", "params.target_recall",
             [](auto& r) { r.mutable_params()->set_target_recall(1.001); }),
      Search("a recall that is no number", "params.target_recall",
             [](auto& r) { r.mutable_params()->set_target_recall(kNan); }),
      Search("a recall and a depth", "params.target_recall",
             [](auto& r) {
               r.mutable_params()->set_target_recall(0.9);
               r.mutable_params()->set_nprobe(7);
             }),
      Search("no collection name", "collection_name", [](auto& r) { r.clear_collection_name(); }),
      Search("an empty id", "ids.str[0]",
             [](auto& r) {
               r.clear_vectors();
               r.mutable_ids()->add_str("");
             }),
  });
}

TEST_F(BadPointsTest, IdsOfGetAndDelete) {
  ExpectRefused(BadIds<v1::GetPointsRequest>("Get", [](Client& client, const auto& request) {
    return client.GetPoints(request).status();
  }));
  ExpectRefused(BadIds<v1::DeletePointsRequest>("Delete", [](Client& client, const auto& request) {
    return client.DeletePoints(request).status();
  }));
}

TEST_F(BadPointsTest, PagesOfScroll) {
  v1::ScrollRequest good;
  good.set_collection_name("untrained");
  good.set_page_size(10);
  ASSERT_OK_AND_ASSIGN(const v1::ScrollResponse page, client().Scroll(good));
  ASSERT_FALSE(page.next_page_token().empty());
  const auto scroll = [&](const char* name, const char* field, auto change) {
    v1::ScrollRequest request = good;
    change(request);
    return BadInput{.name = name,
                    .call = [=](Client& client) { return client.Scroll(request).status(); },
                    .field = field};
  };
  std::string damaged = page.next_page_token();
  damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
  BadInput unknown = scroll("unknown collection", "",
                            [](auto& request) { request.set_collection_name("nonsense"); });
  unknown.code = absl::StatusCode::kNotFound;
  unknown.reason = "NOT_FOUND";
  ExpectRefused({
      unknown,
      scroll("not a token", "page_token", [](auto& r) { r.set_page_token("%%%"); }),
      scroll("a damaged token", "page_token", [&](auto& r) { r.set_page_token(damaged); }),
      scroll("a token of another collection", "page_token",
             [&](auto& r) {
               r.set_collection_name("trained");
               r.set_page_token(page.next_page_token());
             }),
      scroll("a long token", "page_token",
             [](auto& r) { r.set_page_token(std::string(limits::kPageTokenBytesMax + 1, 'A')); }),
      scroll("page over the limit", "page_size",
             [](auto& r) { r.set_page_size(limits::kPageSizeMax + 1); }),
      {.name = "count of an unknown collection",
       .call = [](Client& client) { return client.CountPoints("nonsense").status(); },
       .code = absl::StatusCode::kNotFound,
       .reason = "NOT_FOUND"},
  });
}

TEST_F(BadPointsTest, OversizedMessages) {
  auto stub = std::shared_ptr<v1::Points::Stub>(v1::Points::NewStub(server_->NewChannel()));
  v1::UpsertRequest request = GoodUpsert();
  request.mutable_vectors()->mutable_data()->resize(limits::kMessageBytesMax + 1);
  // gRPC itself refuses these, before anything of ours sees them.
  BadInput unary{.name = "unary",
                 .call =
                     [&](Client&) {
                       grpc::ClientContext context;
                       v1::UpsertResponse response;
                       return ToAbslStatus(stub->Upsert(&context, request, &response));
                     },
                 .code = absl::StatusCode::kResourceExhausted,
                 .reason = ""};
  BadInput stream = unary;
  stream.name = "stream";
  stream.call = [&](Client&) {
    BulkUpserter upserter(stub, {.collection_name = "trained"});
    upserter.Write(request).IgnoreError();
    return upserter.Finish();
  };
  ExpectRefused({unary, stream});
}

TEST_F(BadPointsTest, FirstChunkOfAStream) {
  const auto stream = [](const char* name, v1::UpsertRequest request, const char* collection) {
    return BadInput{.name = name, .call = [=](Client& client) {
                      auto upserter = client.StartBulkUpsert({.collection_name = collection});
                      upserter->Write(request).IgnoreError();
                      return upserter->Finish();
                    }};
  };
  BadInput unknown = stream("unknown collection", GoodUpsert(), "nonsense");
  unknown.code = absl::StatusCode::kNotFound;
  unknown.reason = "NOT_FOUND";
  BadInput nameless = stream("no collection name", GoodUpsert(), "");
  nameless.field = "collection_name";
  v1::UpsertRequest with_nan = GoodUpsert();
  *with_nan.mutable_vectors() = MakeVectors(std::vector<float>(2 * kDimension, kNan));
  BadInput nan = stream("NaN", with_nan, "trained");
  nan.field = "vectors";
  ExpectRefused({unknown, nameless, nan});
}

}  // namespace
}  // namespace tessera
