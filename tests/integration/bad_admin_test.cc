// What the Collections, Codebooks and Operations services refuse, over the wire: code, reason and
// field, and nothing changed.
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "client/cpp/vectors.h"
#include "index/base/limits.h"
#include "index/base/status_macros.h"
#include "tests/integration/bad_input.h"

namespace tessera {
namespace {

class BadAdminTest : public BadInputTest {
 protected:
  static BadInput Create(std::string name, std::string field,
                         std::function<void(v1::CreateCollectionRequest&)> change) {
    v1::CreateCollectionRequest request;
    request.set_collection_name("new");
    request.set_dimension(kDimension);
    change(request);
    return {.name = std::move(name),
            .call = [request](Client& client) { return client.CreateCollection(request).status(); },
            .field = std::move(field)};
  }

  static BadInput Named(const std::string& collection) {
    return Create("name '" + collection.substr(0, 20) + "'", "collection_name",
                  [&](auto& request) { request.set_collection_name(collection); });
  }

  template <typename Call>
  static BadInput NotFound(std::string name, Call call) {
    return {.name = std::move(name),
            .call = call,
            .code = absl::StatusCode::kNotFound,
            .reason = "NOT_FOUND"};
  }

  template <typename Call>
  static BadInput Precondition(std::string name, std::string reason, Call call) {
    return {.name = std::move(name),
            .call = call,
            .code = absl::StatusCode::kFailedPrecondition,
            .reason = std::move(reason)};
  }

  static v1::EncodeRequest GoodEncode() {
    v1::EncodeRequest request;
    request.set_collection_name("trained");
    *request.mutable_vectors() = MakeVectors(Floats(2 * kDimension));
    return request;
  }

  static BadInput Encode(std::string name, std::string field,
                         std::function<void(v1::EncodeRequest&)> change) {
    v1::EncodeRequest request = GoodEncode();
    change(request);
    return {.name = std::move(name),
            .call = [request](Client& client) { return client.Encode(request).status(); },
            .field = std::move(field)};
  }

  static absl::Status ImportBytes(Client& client, const std::string& collection,
                                  const std::string& bytes) {
    return ImportCodebook(client, collection, bytes).status();
  }
};

TEST_F(BadAdminTest, Creations) {
  BadInput exists = Create("a name that is taken", "",
                           [](auto& request) { request.set_collection_name("trained"); });
  exists.code = absl::StatusCode::kAlreadyExists;
  exists.reason = "COLLECTION_EXISTS";
  ExpectRefused({
      exists,
      Named(""),
      Named("-begins-with-a-dash"),
      Named("has space"),
      Named("has/slash"),
      Named("\xC3\xA4"),
      Named("\xFF"),
      Named(std::string(limits::kCollectionNameBytesMax + 1, 'x')),
      Create("dimension 0", "dimension", [](auto& r) { r.set_dimension(0); }),
      Create("dimension over the limit", "dimension",
             [](auto& r) { r.set_dimension(limits::kDimensionMax + 1); }),
      Create("unknown metric", "metric", [](auto& r) { r.set_metric(static_cast<v1::Metric>(9)); }),
      Create("unknown element type", "element_type",
             [](auto& r) { r.set_element_type(static_cast<v1::ElementType>(9)); }),
      Create("unknown placement", "index.vectors",
             [](auto& r) { r.mutable_index()->set_vectors(static_cast<v1::VectorPlacement>(9)); }),
      Create("5 bits", "index.nbits", [](auto& r) { r.mutable_index()->set_nbits(5); }),
      Create("more subquantizers than components", "index.subquantizers",
             [](auto& r) { r.mutable_index()->set_subquantizers(kDimension + 1); }),
      Create("nlist over the limit", "index.nlist",
             [](auto& r) { r.mutable_index()->set_nlist(limits::kListsMax + 1); }),
      Create(
          "iterations over the limit", "index.iterations",
          [](auto& r) { r.mutable_index()->set_iterations(limits::kTrainingIterationsMax + 1); }),
      Create("sample over the limit", "index.training_vectors_per_list",
             [](auto& r) {
               r.mutable_index()->set_training_vectors_per_list(limits::kTrainingVectorsMax + 1);
             }),
      Create("nprobe over the limit", "index.default_nprobe",
             [](auto& r) { r.mutable_index()->set_default_nprobe(limits::kListsMax + 1); }),
      Create("rerank over the limit", "index.default_rerank",
             [](auto& r) { r.mutable_index()->set_default_rerank(limits::kRerankMax + 1); }),
  });
}

TEST_F(BadAdminTest, NamesOfCollectionsThatAreNotThere) {
  v1::TrainRequest train;
  train.set_collection_name("nonsense");
  v1::EncodeRequest encode = GoodEncode();
  encode.set_collection_name("nonsense");
  v1::DecodeRequest decode;
  decode.set_collection_name("nonsense");
  decode.mutable_codes()->add_lists(0);
  decode.mutable_codes()->set_codes("x");
  ExpectRefused({
      NotFound("Get", [](Client& client) { return client.GetCollection("nonsense").status(); }),
      NotFound("Delete", [](Client& client) { return client.DeleteCollection("nonsense"); }),
      NotFound("Calibrate",
               [](Client& client) {
                 v1::CalibrateRequest request;
                 request.set_collection_name("nonsense");
                 return client.Calibrate(request).status();
               }),
      NotFound("Train", [=](Client& client) { return client.Train(train).status(); }),
      NotFound("Get codebook",
               [](Client& client) { return client.GetCodebook("nonsense", 0).status(); }),
      NotFound("List codebooks",
               [](Client& client) { return client.ListCodebooks("nonsense").status(); }),
      NotFound("Encode", [=](Client& client) { return client.Encode(encode).status(); }),
      NotFound("Decode", [=](Client& client) { return client.Decode(decode).status(); }),
      NotFound("Export",
               [](Client& client) { return ExportCodebook(client, "nonsense").status(); }),
      NotFound("Import", [](Client& client) { return ImportBytes(client, "nonsense", "x"); }),
      NotFound("a version that is not there",
               [](Client& client) { return client.GetCodebook("trained", 99).status(); }),
      NotFound("export of a version that is not there",
               [](Client& client) { return ExportCodebook(client, "trained", 99).status(); }),
  });
}

TEST_F(BadAdminTest, QueriesOfCalibrate) {
  v1::CalibrateRequest good;
  good.set_collection_name("trained");
  *good.mutable_queries() = MakeVectors(Floats(kDimension));
  const auto calibrate = [&](const char* name, const char* field, auto change) {
    return Changed<v1::CalibrateRequest>(
        name, field, good,
        [](Client& client, const auto& request) { return client.Calibrate(request).status(); },
        change);
  };
  BadInput untrained =
      calibrate("not trained", "", [](auto& r) { r.set_collection_name("untrained"); });
  untrained.code = absl::StatusCode::kFailedPrecondition;
  untrained.reason = "CODEBOOK_NOT_TRAINED";
  ExpectRefused({
      untrained,
      calibrate("wrong dimension", "queries.data",
                [](auto& r) { *r.mutable_queries() = MakeVectors(Floats(kDimension - 1)); }),
      calibrate("no queries", "queries", [](auto& r) { r.mutable_queries()->Clear(); }),
      calibrate("NaN", "queries",
                [](auto& r) {
                  std::vector<float> values = Floats(kDimension);
                  values[0] = std::numeric_limits<float>::quiet_NaN();
                  *r.mutable_queries() = MakeVectors(values);
                }),
      calibrate("too many queries", "queries.data",
                [](auto& r) {
                  *r.mutable_queries() =
                      MakeVectors(Floats((limits::kCalibrationQueriesMax + 1) * kDimension));
                }),
  });
}

TEST_F(BadAdminTest, PagesOfList) {
  const auto list = [](const char* name, const char* field, uint32_t size, std::string token) {
    v1::ListCollectionsRequest request;
    request.set_page_size(size);
    request.set_page_token(std::move(token));
    return BadInput{
        .name = name,
        .call = [=](Client& client) { return client.ListCollections(request).status(); },
        .field = field};
  };
  ExpectRefused({
      list("page over the limit", "page_size", limits::kPageSizeMax + 1, ""),
      list("not a token", "page_token", 10, "%%%"),
      list("a long token", "page_token", 10, std::string(limits::kPageTokenBytesMax + 1, 'A')),
  });
}

TEST_F(BadAdminTest, CodebooksThatAreNotTrained) {
  v1::EncodeRequest encode = GoodEncode();
  encode.set_collection_name("untrained");
  v1::DecodeRequest decode;
  decode.set_collection_name("untrained");
  decode.mutable_codes()->add_lists(0);
  decode.mutable_codes()->set_codes("x");
  v1::TrainRequest lists;
  lists.set_collection_name("trained");
  lists.set_nlist(kPoints + 1);
  v1::TrainRequest over_limit = lists;
  over_limit.set_nlist(limits::kListsMax + 1);
  const char* reason = "CODEBOOK_NOT_TRAINED";
  ExpectRefused({
      Precondition("Get", reason,
                   [](Client& client) { return client.GetCodebook("untrained", 0).status(); }),
      Precondition("Encode", reason,
                   [=](Client& client) { return client.Encode(encode).status(); }),
      Precondition("Decode", reason,
                   [=](Client& client) { return client.Decode(decode).status(); }),
      Precondition("Export", reason,
                   [](Client& client) { return ExportCodebook(client, "untrained").status(); }),
      Precondition("more lists than points", "TOO_FEW_POINTS",
                   [=](Client& client) { return client.Train(lists).status(); }),
      {.name = "nlist over the limit",
       .call = [=](Client& client) { return client.Train(over_limit).status(); },
       .field = "nlist"},
  });
}

TEST_F(BadAdminTest, EncodeAndDecode) {
  ASSERT_OK_AND_ASSIGN(const v1::EncodeResponse good, client().Encode(GoodEncode()));
  const auto decode = [&](const char* name, const char* field, auto change) {
    v1::DecodeRequest request;
    request.set_collection_name("trained");
    *request.mutable_codes() = good.codes();
    change(*request.mutable_codes());
    return BadInput{.name = name,
                    .call = [=](Client& client) { return client.Decode(request).status(); },
                    .field = field};
  };
  BadInput version =
      decode("a version that is not there", "", [](auto& c) { c.set_codebook_version(99); });
  version.code = absl::StatusCode::kNotFound;
  version.reason = "NOT_FOUND";
  ExpectRefused({
      version,
      Encode("no vectors", "vectors", [](auto& r) { r.clear_vectors(); }),
      Encode("wrong dimension", "vectors.data",
             [](auto& r) { *r.mutable_vectors() = MakeVectors(Floats(kDimension + 1)); }),
      Encode("NaN", "vectors",
             [](auto& r) {
               *r.mutable_vectors() = MakeVectors(
                   std::vector<float>(kDimension, std::numeric_limits<float>::quiet_NaN()));
             }),
      Encode("both values and data", "vectors",
             [](auto& r) { r.mutable_vectors()->add_values(1); }),
      decode("no codes", "codes.lists", [](auto& c) { c.Clear(); }),
      decode("lists without codes", "codes.codes", [](auto& c) { c.clear_codes(); }),
      decode("half a code", "codes.codes", [](auto& c) { c.mutable_codes()->pop_back(); }),
      decode("codes that are too long", "codes.codes",
             [](auto& c) { c.mutable_codes()->append(c.codes()); }),
      decode("a list that is not there", "codes.lists[1]",
             [](auto& c) { c.set_lists(1, limits::kListsMax); }),
  });
}

TEST_F(BadAdminTest, DamagedCodebooks) {
  ASSERT_OK_AND_ASSIGN(const std::string good, ExportCodebook(client(), "trained"));
  const auto damaged = [](const std::string& name, std::string bytes) {
    return BadInput{.name = name,
                    .call = [=](Client& client) { return ImportBytes(client, "untrained", bytes); },
                    .code = absl::StatusCode::kDataLoss,
                    .reason = "DATA_LOSS"};
  };
  std::vector<BadInput> inputs;
  // A flipped bit anywhere, the end missing at many places, and something behind the end.
  for (size_t at = 0; at < good.size(); at += 1 + good.size() / 23) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    inputs.push_back(damaged("byte " + std::to_string(at) + " flipped", bytes));
    if (at > 0) {
      inputs.push_back(damaged("cut at byte " + std::to_string(at), good.substr(0, at)));
    }
  }
  inputs.push_back(damaged("a byte too many", good + "x"));
  inputs.push_back(damaged("text", "this is not a codebook"));
  inputs.push_back({.name = "nothing",
                    .call = [](Client& client) { return ImportBytes(client, "untrained", ""); },
                    .field = "chunk"});
  // Whole, but of another dimension or metric.
  v1::CreateCollectionRequest create;
  create.set_collection_name("wider");
  create.set_dimension(kDimension + 1);
  create.set_metric(v1::L2);
  ASSERT_OK(client().CreateCollection(create).status());
  create.set_collection_name("cosine");
  create.set_dimension(kDimension);
  create.set_metric(v1::COSINE);
  ASSERT_OK(client().CreateCollection(create).status());
  for (const std::string collection : {"wider", "cosine"}) {
    inputs.push_back(Precondition("into " + collection, "CODEBOOK_MISMATCH", [=](Client& client) {
      return ImportBytes(client, collection, good);
    }));
  }
  ExpectRefused(inputs);
  EXPECT_OK(client().DeleteCollection("wider"));
  EXPECT_OK(client().DeleteCollection("cosine"));
}

TEST_F(BadAdminTest, OperationsThatAreNotThere) {
  ExpectRefused({
      NotFound("Get", [](Client& client) { return client.GetOperation("nonsense").status(); }),
      NotFound("Cancel",
               [](Client& client) { return client.CancelOperation("nonsense").status(); }),
      NotFound("Watch",
               [](Client& client) { return client.WaitOperation("nonsense", nullptr).status(); }),
  });
}

TEST_F(BadAdminTest, TrainingOfAnEmptyCollection) {
  v1::CreateCollectionRequest create;
  create.set_collection_name("empty");
  create.set_dimension(kDimension);
  ASSERT_OK(client().CreateCollection(create).status());
  v1::TrainRequest train;
  train.set_collection_name("empty");
  ExpectRefused({Precondition("no points", "TOO_FEW_POINTS",
                              [=](Client& client) { return client.Train(train).status(); })});
  EXPECT_OK(client().DeleteCollection("empty"));
}

}  // namespace
}  // namespace tessera
