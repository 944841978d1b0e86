#include <set>
#include <string>

#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

class CollectionsServiceTest : public ServerFixture {
 protected:
  grpc::Status CreateByCall(const v1::CreateCollectionRequest& request) {
    v1::Collection response;
    return Call(*collections_, &v1::Collections::Stub::Create, request, &response);
  }

  static v1::CreateCollectionRequest Request(const std::string& name, uint32_t dimension) {
    v1::CreateCollectionRequest request;
    request.set_collection_name(name);
    request.set_dimension(dimension);
    return request;
  }
};

TEST_F(CollectionsServiceTest, CreateGetDelete) {
  v1::Collection created;
  ASSERT_TRUE(
      Call(*collections_, &v1::Collections::Stub::Create, Request("words", 16), &created).ok());
  EXPECT_EQ(created.metric(), v1::COSINE);
  EXPECT_EQ(created.element_type(), v1::FLOAT32);
  EXPECT_EQ(created.state(), v1::UNTRAINED);
  EXPECT_EQ(created.index().subquantizers(), 0u) << "chosen at training";
  EXPECT_GT(created.create_time().seconds(), 0);

  v1::GetCollectionRequest get;
  get.set_collection_name("words");
  v1::Collection got;
  ASSERT_TRUE(Call(*collections_, &v1::Collections::Stub::Get, get, &got).ok());
  EXPECT_EQ(got.dimension(), 16u);

  v1::DeleteCollectionRequest remove;
  remove.set_collection_name("words");
  v1::DeleteCollectionResponse nothing;
  ASSERT_TRUE(Call(*collections_, &v1::Collections::Stub::Delete, remove, &nothing).ok());
  const CallError gone(Call(*collections_, &v1::Collections::Stub::Get, get, &got));
  EXPECT_EQ(gone.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(gone.resource, "collection");
  EXPECT_EQ(Call(*collections_, &v1::Collections::Stub::Delete, remove, &nothing).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(CollectionsServiceTest, RefusesBadSpecifications) {
  struct Case {
    v1::CreateCollectionRequest request;
    std::string field;
  };
  std::vector<Case> cases = {{Request("", 4), "collection_name"},
                             {Request("a/b", 4), "collection_name"},
                             {Request(std::string(129, 'x'), 4), "collection_name"},
                             {Request("words", 0), "dimension"},
                             {Request("words", limits::kDimensionMax + 1), "dimension"},
                             {Request("words", 4), "metric"},
                             {Request("words", 4), "element_type"},
                             {Request("words", 4), "index.vectors"},
                             {Request("words", 4), "index.nbits"}};
  cases[5].request.set_metric(static_cast<v1::Metric>(99));
  cases[6].request.set_element_type(static_cast<v1::ElementType>(99));
  cases[7].request.mutable_index()->set_vectors(static_cast<v1::VectorPlacement>(99));
  cases[8].request.mutable_index()->set_nbits(5);
  for (const Case& c : cases) {
    const CallError error(CreateByCall(c.request));
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT) << c.field;
    EXPECT_EQ(error.field, c.field);
    EXPECT_EQ(error.reason, "INVALID_FIELD");
  }
  EXPECT_TRUE(engine_->ListCollections("", 10).empty());
}

TEST_F(CollectionsServiceTest, RefusesANameThatIsTaken) {
  ASSERT_TRUE(CreateByCall(Request("words", 4)).ok());
  const CallError error(CreateByCall(Request("words", 8)));
  EXPECT_EQ(error.code, grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(error.reason, "COLLECTION_EXISTS");
  EXPECT_EQ(engine_->GetCollection("words")->spec.dimension, 4u);
}

TEST_F(CollectionsServiceTest, UpdatesWhatTheMaskNames) {
  ASSERT_TRUE(CreateByCall(Request("words", 16)).ok());
  v1::UpdateCollectionRequest update;
  update.set_collection_name("words");
  update.mutable_index()->set_default_nprobe(7);
  update.mutable_index()->set_default_rerank(70);
  update.mutable_index()->set_vectors(v1::DISK);
  update.set_metadata(R"({"a":1})");
  update.set_durability(v1::ASYNC);
  for (const char* path : {"index.default_nprobe", "index.vectors", "metadata"}) {
    update.mutable_update_mask()->add_paths(path);
  }
  update.set_expected_revision(0);
  v1::Collection updated;
  ASSERT_TRUE(Call(*collections_, &v1::Collections::Stub::Update, update, &updated).ok());
  EXPECT_EQ(updated.index().default_nprobe(), 7u);
  EXPECT_EQ(updated.index().default_rerank(), 0u);
  EXPECT_EQ(updated.index().vectors(), v1::DISK);
  EXPECT_EQ(updated.metadata(), R"({"a":1})");
  EXPECT_EQ(updated.durability(), v1::SYNC);
  EXPECT_EQ(updated.revision(), 1u);
  const CallError late(Call(*collections_, &v1::Collections::Stub::Update, update, &updated));
  EXPECT_EQ(late.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(late.reason, "REVISION_MISMATCH");
  // A field that is named and not given goes back to its default.
  v1::UpdateCollectionRequest reset;
  reset.set_collection_name("words");
  for (const char* path : {"index.subquantizers", "index.default_nprobe", "metadata"}) {
    reset.mutable_update_mask()->add_paths(path);
  }
  ASSERT_TRUE(Call(*collections_, &v1::Collections::Stub::Update, reset, &updated).ok());
  EXPECT_EQ(updated.index().default_nprobe(), 0u);
  EXPECT_EQ(updated.metadata(), "");
  EXPECT_EQ(updated.index().subquantizers(), 0u) << "chosen at the next training";
  EXPECT_EQ(updated.index().vectors(), v1::DISK);
}

TEST_F(CollectionsServiceTest, RefusesToUpdateWhatCannotChange) {
  ASSERT_TRUE(CreateByCall(Request("words", 16)).ok());
  const auto refused = [&](const std::vector<std::string>& paths, auto change) {
    v1::UpdateCollectionRequest update;
    update.set_collection_name("words");
    change(update);
    for (const std::string& path : paths) update.mutable_update_mask()->add_paths(path);
    v1::Collection updated;
    const CallError error(Call(*collections_, &v1::Collections::Stub::Update, update, &updated));
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT);
    return error.field;
  };
  const auto nothing = [](auto&) {};
  EXPECT_EQ(refused({}, nothing), "update_mask");
  for (const char* path : {"dimension", "metric", "element_type", "collection_name", "index", "",
                           "*", "index.", "Metadata", "revision"}) {
    EXPECT_EQ(refused({"metadata", path}, nothing), "update_mask.paths[1]") << path;
  }
  EXPECT_EQ(refused({"index.nbits"}, [](auto& u) { u.mutable_index()->set_nbits(3); }),
            "index.nbits");
  EXPECT_EQ(refused({"metadata"}, [](auto& u) { u.set_metadata("nonsense"); }), "metadata");
  EXPECT_EQ(
      refused({"durability"}, [](auto& u) { u.set_durability(static_cast<v1::Durability>(9)); }),
      "durability");
  EXPECT_EQ(refused({"metadata"}, [](auto& u) { u.set_collection_name(""); }), "collection_name");
  EXPECT_EQ(engine_->GetCollection("words")->revision, 0u);
}

TEST_F(CollectionsServiceTest, ListStatisticsNeedATraining) {
  ASSERT_TRUE(CreateByCall(Request("words", 4)).ok());
  v1::GetListStatisticsRequest request;
  request.set_collection_name("words");
  v1::GetListStatisticsResponse response;
  const auto call = [&] {
    return Call(*collections_, &v1::Collections::Stub::GetListStatistics, request, &response);
  };
  EXPECT_EQ(CallError(call()).reason, "CODEBOOK_NOT_TRAINED");
  ASSERT_TRUE(UpsertRows("words", 0, ClusteredRows(300, 4, 1)).ok());
  Train("words", 5);
  request.set_page_size(4);
  ASSERT_TRUE(call().ok());
  EXPECT_EQ(response.nlist(), 5u);
  EXPECT_EQ(response.points(), 300u);
  EXPECT_EQ(response.lists_size(), 4);
  EXPECT_LE(response.points_min(), response.points_median());
  EXPECT_LE(response.points_median(), response.points_max());
  EXPECT_GE(response.imbalance(), 1);
  request.set_page_token(response.next_page_token());
  ASSERT_TRUE(call().ok());
  ASSERT_EQ(response.lists_size(), 1);
  EXPECT_EQ(response.lists(0).list(), 4u);
  EXPECT_EQ(response.next_page_token(), "");
}

TEST_F(CollectionsServiceTest, ListsPageByPage) {
  std::set<std::string> names;
  for (int i = 0; i < 7; ++i) {
    names.insert(absl::StrCat("c", i));
    Create(absl::StrCat("c", i), 4);
  }
  std::vector<std::string> seen;
  v1::ListCollectionsRequest request;
  request.set_page_size(3);
  int pages = 0;
  do {
    v1::ListCollectionsResponse response;
    ASSERT_TRUE(Call(*collections_, &v1::Collections::Stub::List, request, &response).ok());
    EXPECT_LE(response.collections_size(), 3);
    for (const v1::Collection& info : response.collections()) {
      seen.push_back(info.collection_name());
    }
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(seen, std::vector<std::string>(names.begin(), names.end()));

  v1::ListCollectionsResponse response;
  request.set_page_token("not a token");
  EXPECT_EQ(CallError(Call(*collections_, &v1::Collections::Stub::List, request, &response)).field,
            "page_token");
  request.clear_page_token();
  request.set_page_size(limits::kPageSizeMax + 1);
  EXPECT_EQ(CallError(Call(*collections_, &v1::Collections::Stub::List, request, &response)).field,
            "page_size");
}

}  // namespace
}  // namespace tessera
