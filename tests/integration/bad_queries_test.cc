// What the calls that search and count in other ways than Search refuse: code, reason and field.
#include <limits>
#include <string>
#include <utility>

#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "tests/integration/bad_input.h"

namespace tessera {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class BadQueriesTest : public BadInputTest {
 protected:
  static v1::SearchRequest GoodSearch() { return MakeSearch("trained", Floats(kDimension), 10); }

  // A call whose answer does not matter.
  template <class Request, class Response>
  static auto StatusOf(absl::StatusOr<Response> (Client::*call)(const Request&)) {
    return
        [call](Client& client, const Request& request) { return (client.*call)(request).status(); };
  }
  static BadInput Search(std::string name, std::string field,
                         std::function<void(v1::SearchRequest&)> change) {
    return Changed<v1::SearchRequest>(std::move(name), std::move(field), GoodSearch(),
                                      StatusOf(&Client::Search), std::move(change));
  }
  static BadInput Batch(std::string name, std::string field,
                        std::function<void(v1::SearchBatchRequest&)> change) {
    v1::SearchBatchRequest request;
    *request.add_searches() = GoodSearch();
    *request.add_searches() = GoodSearch();
    return Changed<v1::SearchBatchRequest>(std::move(name), std::move(field), request,
                                           StatusOf(&Client::SearchBatch), std::move(change));
  }
  static BadInput Groups(std::string name, std::string field,
                         std::function<void(v1::SearchGroupsRequest&)> change) {
    v1::SearchGroupsRequest request;
    *request.mutable_search() = GoodSearch();
    request.set_group_by("a.b");
    request.set_group_size(2);
    return Changed<v1::SearchGroupsRequest>(std::move(name), std::move(field), request,
                                            StatusOf(&Client::SearchGroups), std::move(change));
  }
  static BadInput Facet(std::string name, std::string field,
                        std::function<void(v1::FacetRequest&)> change) {
    v1::FacetRequest request;
    request.set_collection_name("trained");
    request.set_key("a.b");
    return Changed<v1::FacetRequest>(std::move(name), std::move(field), request,
                                     StatusOf(&Client::Facet), std::move(change));
  }
  static BadInput Range(std::string name, std::string field,
                        std::function<void(v1::SearchRangeRequest&)> change) {
    v1::SearchRangeRequest request;
    request.set_collection_name("trained");
    *request.mutable_vector() = MakeVectors(Floats(kDimension));
    request.set_radius(1);
    return Changed<v1::SearchRangeRequest>(std::move(name), std::move(field), request,
                                           StatusOf(&Client::SearchRange), std::move(change));
  }
};

TEST_F(BadQueriesTest, OptionsOfASearch) {
  const auto recommend = [](auto change) {
    return [=](v1::SearchRequest& request) {
      request.clear_vectors();
      request.mutable_recommend()->mutable_positive()->add_num(1);
      change(*request.mutable_recommend());
    };
  };
  const auto many = [](v1::PointIds* ids) {
    for (uint64_t i = 0; i <= limits::kRecommendExamplesMax; ++i) ids->add_num(i);
  };
  ExpectRefused({
      Search("a filter", "filter.must[0].range.gte",
             [](auto& r) { AddBadFilter(r.mutable_filter()); }),
      Search("offset over the limit", "offset",
             [](auto& r) { r.set_offset(limits::kSearchLimitMax + 1); }),
      Search("offset and limit over the limit", "offset",
             [](auto& r) { r.set_offset(limits::kSearchLimitMax - 1); }),
      Search("a threshold that is no number", "score_threshold",
             [](auto& r) { r.set_score_threshold(kNan); }),
      Search("too many fields", "with_payload.include",
             [](auto& r) {
               for (size_t i = 0; i <= limits::kPayloadSelectorFieldsMax; ++i) {
                 r.mutable_with_payload()->add_include("a");
               }
             }),
      Search("a field without a name", "with_payload.exclude[1]",
             [](auto& r) {
               r.mutable_with_payload()->add_exclude("a");
               r.mutable_with_payload()->add_exclude("a..b");
             }),
      Search("examples beside a vector", "recommend",
             [](auto& r) { r.mutable_recommend()->mutable_positive()->add_num(1); }),
      Search("no positive example", "recommend.positive",
             recommend([](auto& examples) { examples.mutable_positive()->clear_num(); })),
      Search("too many positive examples", "recommend.positive",
             recommend([=](auto& examples) { many(examples.mutable_positive()); })),
      Search("too many negative examples", "recommend.negative",
             recommend([=](auto& examples) { many(examples.mutable_negative()); })),
      NotFound(Search("an example that is not there", "", recommend([](auto& examples) {
                        examples.mutable_negative()->add_num(999'999);
                      }))),
  });
}

TEST_F(BadQueriesTest, Batches) {
  ExpectRefused({
      Batch("no search", "searches", [](auto& r) { r.clear_searches(); }),
      Batch("too many searches", "searches",
            [](auto& r) {
              while (r.searches_size() <= static_cast<int>(limits::kSearchBatchMax)) {
                *r.add_searches() = GoodSearch();
              }
            }),
      Batch("the second without a limit", "searches[1].limit",
            [](auto& r) { r.mutable_searches(1)->set_limit(0); }),
      Batch("the second with a bad filter", "searches[1].filter.must[0].range.gte",
            [](auto& r) { AddBadFilter(r.mutable_searches(1)->mutable_filter()); }),
      Batch("the first of no collection", "searches[0].collection_name",
            [](auto& r) { r.mutable_searches(0)->clear_collection_name(); }),
      NotFound(Batch("the second of an unknown collection", "",
                     [](auto& r) { r.mutable_searches(1)->set_collection_name("nonsense"); })),
  });
}

TEST_F(BadQueriesTest, Groups) {
  ExpectRefused({
      Groups("no field", "group_by", [](auto& r) { r.clear_group_by(); }),
      Groups("a field without a name", "group_by", [](auto& r) { r.set_group_by("a..b"); }),
      Groups("no group size", "group_size", [](auto& r) { r.clear_group_size(); }),
      Groups("group size over the limit", "group_size",
             [](auto& r) { r.set_group_size(limits::kGroupSizeMax + 1); }),
      Groups("an offset", "search.offset", [](auto& r) { r.mutable_search()->set_offset(1); }),
      Groups("no limit", "search.limit", [](auto& r) { r.mutable_search()->clear_limit(); }),
      Groups("two queries", "search",
             [](auto& r) {
               *r.mutable_search()->mutable_vectors() = MakeVectors(Floats(2 * kDimension));
             }),
      Groups("a bad filter", "search.filter.must[0].range.gte",
             [](auto& r) { AddBadFilter(r.mutable_search()->mutable_filter()); }),
      Groups("no collection", "search.collection_name",
             [](auto& r) { r.mutable_search()->clear_collection_name(); }),
      NotFound(Groups("an unknown collection", "",
                      [](auto& r) { r.mutable_search()->set_collection_name("nonsense"); })),
  });
}

TEST_F(BadQueriesTest, Facets) {
  ExpectRefused({
      Facet("no field", "key", [](auto& r) { r.clear_key(); }),
      Facet("a field without a name", "key", [](auto& r) { r.set_key(".a"); }),
      Facet("limit over the limit", "limit",
            [](auto& r) { r.set_limit(limits::kPageSizeMax + 1); }),
      Facet("a bad filter", "filter.must[0].range.gte",
            [](auto& r) { AddBadFilter(r.mutable_filter()); }),
      Facet("not a token", "page_token", [](auto& r) { r.set_page_token("%%%"); }),
      Facet("a long token", "page_token",
            [](auto& r) {
              r.set_page_token(std::string(limits::kOrderedPageTokenBytesMax + 1, 'A'));
            }),
      Facet("no collection", "collection_name", [](auto& r) { r.clear_collection_name(); }),
      NotFound(
          Facet("an unknown collection", "", [](auto& r) { r.set_collection_name("nonsense"); })),
  });
}

TEST_F(BadQueriesTest, Ranges) {
  ExpectRefused({
      Range("no radius", "radius", [](auto& r) { r.clear_radius(); }),
      Range("a radius that is no number", "radius", [](auto& r) { r.set_radius(kNan); }),
      Range("no query", "vector", [](auto& r) { r.clear_vector(); }),
      Range("two queries", "vector.values",
            [](auto& r) {
              r.mutable_vector()->clear_data();
              r.mutable_vector()->clear_element_type();
              for (float value : Floats(2 * kDimension)) r.mutable_vector()->add_values(value);
            }),
      Range("a vector beside an id", "vector", [](auto& r) { r.mutable_id()->set_num(1); }),
      Range("page over the limit", "page_size",
            [](auto& r) { r.set_page_size(limits::kPageSizeMax + 1); }),
      Range("not a token", "page_token", [](auto& r) { r.set_page_token("%%%"); }),
      Range("a bad filter", "filter.must[0].range.gte",
            [](auto& r) { AddBadFilter(r.mutable_filter()); }),
      NotFound(Range("a point that is not there", "",
                     [](auto& r) {
                       r.clear_vector();
                       r.mutable_id()->set_num(999'999);
                     })),
      NotFound(
          Range("an unknown collection", "", [](auto& r) { r.set_collection_name("nonsense"); })),
  });
}

}  // namespace
}  // namespace tessera
