// What the calls that change points by parts or by a filter refuse, and those that change aliases
// and payload indexes: code, reason and field, and nothing changed.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "tests/integration/bad_input.h"

namespace tessera {
namespace {

class BadEditsTest : public BadInputTest {
 protected:
  // The faults that the calls with a PointsSelector have in common.
  template <class Request, class Call>
  static std::vector<BadInput> BadSelectors(const std::string& method, const Request& good,
                                            Call call) {
    const auto make = [&](const char* what, const char* field,
                          std::function<void(Request&)> change) {
      return Changed<Request>(absl::StrCat(method, ": ", what), field, good, call,
                              std::move(change));
    };
    return {
        make("no points", "points", [](auto& r) { r.clear_points(); }),
        make("ids and a filter", "points", [](auto& r) { r.mutable_points()->mutable_filter(); }),
        make("no ids", "points.ids",
             [](auto& r) { r.mutable_points()->mutable_ids()->clear_num(); }),
        make("both kinds of ids", "points.ids",
             [](auto& r) { r.mutable_points()->mutable_ids()->add_str("x"); }),
        make("too many ids", "points.ids",
             [](auto& r) {
               for (size_t i = 0; i <= limits::kUpsertPointsMax; ++i) {
                 r.mutable_points()->mutable_ids()->add_num(i);
               }
             }),
        make("a bad filter", "points.filter.must[0].range.gte",
             [](auto& r) {
               r.mutable_points()->clear_ids();
               AddBadFilter(r.mutable_points()->mutable_filter());
             }),
        make("a condition without a test", "points.filter.must[0]",
             [](auto& r) {
               r.mutable_points()->clear_ids();
               r.mutable_points()->mutable_filter()->add_must()->set_key("a");
             }),
        make("an unknown durability", "durability",
             [](auto& r) { r.set_durability(static_cast<v1::Durability>(9)); }),
        make("a long request id", "request_id",
             [](auto& r) { r.set_request_id(std::string(limits::kRequestIdBytesMax + 1, 'x')); }),
        make("no collection", "collection_name", [](auto& r) { r.clear_collection_name(); }),
        NotFound(
            make("an unknown collection", "", [](auto& r) { r.set_collection_name("nonsense"); })),
    };
  }
  template <class Request>
  static Request Good() {
    Request request;
    request.set_collection_name("trained");
    request.mutable_points()->mutable_ids()->add_num(1);
    return request;
  }
};

TEST_F(BadEditsTest, Payloads) {
  const auto set = [](Client& client, const v1::SetPayloadRequest& request) {
    return client.SetPayload(request).status();
  };
  const auto overwrite = [](Client& client, const v1::SetPayloadRequest& request) {
    return client.OverwritePayload(request).status();
  };
  const auto remove = [](Client& client, const v1::DeletePayloadRequest& request) {
    return client.DeletePayload(request).status();
  };
  const auto clear = [](Client& client, const v1::ClearPayloadRequest& request) {
    return client.ClearPayload(request).status();
  };
  auto good = Good<v1::SetPayloadRequest>();
  good.set_payload("{}");
  auto keys = Good<v1::DeletePayloadRequest>();
  keys.add_keys("a");
  ExpectRefused(BadSelectors("SetPayload", good, set));
  ExpectRefused(BadSelectors("OverwritePayload", good, overwrite));
  ExpectRefused(BadSelectors("DeletePayload", keys, remove));
  ExpectRefused(BadSelectors("ClearPayload", Good<v1::ClearPayloadRequest>(), clear));

  std::vector<BadInput> inputs;
  std::string deep;
  for (size_t i = 0; i <= limits::kPayloadDepthMax; ++i) deep += "{\"a\":";
  deep += "1" + std::string(limits::kPayloadDepthMax + 1, '}');
  for (const std::string& payload :
       {std::string("{\"a\": "), std::string("[1]"), deep, std::string("{\"a\": 1e999}"),
        "{\"a\":\"" + std::string(limits::kPayloadBytesMax, 'x') + "\"}"}) {
    const auto change = [=](v1::SetPayloadRequest& r) { r.set_payload(payload); };
    const std::string name = payload.substr(0, 20);
    inputs.push_back(Changed<v1::SetPayloadRequest>("set " + name, "payload", good, set, change));
    inputs.push_back(
        Changed<v1::SetPayloadRequest>("overwrite " + name, "payload", good, overwrite, change));
  }
  const auto bad_keys = [&](const char* name, const char* field,
                            std::function<void(v1::DeletePayloadRequest&)> change) {
    inputs.push_back(Changed<v1::DeletePayloadRequest>(name, field, keys, remove, change));
  };
  bad_keys("no keys", "keys", [](auto& r) { r.clear_keys(); });
  bad_keys("a key without a name", "keys[1]", [](auto& r) { r.add_keys("a..b"); });
  bad_keys("too many keys", "keys", [](auto& r) {
    for (size_t i = 0; i < limits::kPayloadSelectorFieldsMax; ++i) r.add_keys("a");
  });
  ExpectRefused(inputs);
}

TEST_F(BadEditsTest, VectorsAndDeletions) {
  v1::UpdateVectorsRequest vectors;
  vectors.set_collection_name("trained");
  vectors.mutable_ids()->add_num(1);
  vectors.mutable_ids()->add_num(2);
  *vectors.mutable_vectors() = MakeVectors(Floats(2 * kDimension));
  const auto update = [&](const char* name, const char* field,
                          std::function<void(v1::UpdateVectorsRequest&)> change) {
    return Changed<v1::UpdateVectorsRequest>(
        name, field, vectors,
        [](Client& client, const auto& request) { return client.UpdateVectors(request).status(); },
        std::move(change));
  };
  v1::DeleteByFilterRequest deletion;
  deletion.set_collection_name("trained");
  const auto remove = [&](const char* name, const char* field,
                          std::function<void(v1::DeleteByFilterRequest&)> change) {
    return Changed<v1::DeleteByFilterRequest>(
        name, field, deletion,
        [](Client& client, const auto& request) { return client.DeleteByFilter(request).status(); },
        std::move(change));
  };
  ExpectRefused({
      update("no ids", "ids", [](auto& r) { r.clear_ids(); }),
      update("an id twice", "ids", [](auto& r) { r.mutable_ids()->set_num(1, 1); }),
      update("no vectors", "vectors", [](auto& r) { r.clear_vectors(); }),
      update("one vector for two ids", "vectors.data",
             [](auto& r) { *r.mutable_vectors() = MakeVectors(Floats(kDimension)); }),
      update("NaN", "vectors",
             [](auto& r) {
               r.mutable_vectors()->Clear();
               std::vector<float> values = Floats(2 * kDimension);
               values[3] = std::numeric_limits<float>::quiet_NaN();
               r.mutable_vectors()->mutable_values()->Add(values.begin(), values.end());
             }),
      update("a component over the limit", "vectors",
             [](auto& r) {
               r.mutable_vectors()->Clear();
               std::vector<float> values = Floats(2 * kDimension);
               values[3] = static_cast<float>(-2 * limits::kComponentMax);
               r.mutable_vectors()->mutable_values()->Add(values.begin(), values.end());
             }),
      NotFound(
          update("an unknown collection", "", [](auto& r) { r.set_collection_name("nonsense"); })),
      remove("no filter", "filter", [](auto&) {}),
      remove("a filter that tests nothing", "filter",
             [](auto& r) { r.mutable_filter()->add_should()->mutable_filter(); }),
      remove("a bad filter", "filter.must[0].range.gte",
             [](auto& r) { AddBadFilter(r.mutable_filter()); }),
      NotFound(remove("an unknown collection", "",
                      [](auto& r) {
                        r.set_collection_name("nonsense");
                        r.mutable_filter()->add_must()->mutable_has_id()->add_num(1);
                      })),
  });
}

TEST_F(BadEditsTest, AliasesAndIndexes) {
  v1::UpdateAliasesRequest aliases;
  v1::Alias& first = *aliases.add_actions();
  first.set_alias_name("first");
  first.set_collection_name("trained");
  const auto alias = [&](const char* name, const char* field,
                         std::function<void(v1::UpdateAliasesRequest&)> change) {
    return Changed<v1::UpdateAliasesRequest>(
        name, field, aliases,
        [](Client& client, const auto& request) { return client.UpdateAliases(request); },
        std::move(change));
  };
  const auto second = [](const char* alias_name, const char* collection) {
    return [=](v1::UpdateAliasesRequest& r) {
      v1::Alias& action = *r.add_actions();
      action.set_alias_name(alias_name);
      action.set_collection_name(collection);
    };
  };
  BadInput taken = alias("the name of a collection", "", second("bytes", "trained"));
  taken.code = absl::StatusCode::kAlreadyExists;
  taken.reason = "COLLECTION_EXISTS";
  v1::CreatePayloadIndexRequest good_index;
  good_index.set_collection_name("trained");
  good_index.set_key("a");
  good_index.set_type(v1::KEYWORD);
  const auto index = [&](const char* name, const char* field,
                         std::function<void(v1::CreatePayloadIndexRequest&)> change) {
    return Changed<v1::CreatePayloadIndexRequest>(
        name, field, good_index,
        [](Client& client, const auto& request) {
          return client.CreatePayloadIndex(request).status();
        },
        std::move(change));
  };
  ExpectRefused({
      alias("no action", "actions", [](auto& r) { r.clear_actions(); }),
      alias("too many actions", "actions",
            [](auto& r) {
              while (r.actions_size() <= static_cast<int>(limits::kAliasActionsMax)) {
                *r.add_actions() = r.actions(0);
              }
            }),
      alias("a name that is none", "actions[1].alias_name", second("-", "trained")),
      taken,
      NotFound(alias("of no collection", "", second("second", "nonsense"))),
      NotFound(alias("the end of none", "", second("second", ""))),
      index("no type", "type", [](auto& r) { r.clear_type(); }),
      index("an unknown type", "type",
            [](auto& r) { r.set_type(static_cast<v1::PayloadIndexType>(77)); }),
      index("no key", "key", [](auto& r) { r.clear_key(); }),
      index("a key without a name", "key", [](auto& r) { r.set_key("a."); }),
      index("a long key", "key",
            [](auto& r) { r.set_key(std::string(limits::kFieldPathBytesMax + 1, 'a')); }),
      NotFound(
          index("an unknown collection", "", [](auto& r) { r.set_collection_name("nonsense"); })),
      NotFound({.name = "the end of no index",
                .call = [](Client& client) { return client.DropPayloadIndex("trained", "a"); }}),
  });
  ASSERT_OK_AND_ASSIGN(const v1::ListAliasesResponse listed, client().ListAliases(""));
  EXPECT_EQ(listed.aliases_size(), 0) << "nothing of a refused request";
}

}  // namespace
}  // namespace tessera
