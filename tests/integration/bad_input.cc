#include "tests/integration/bad_input.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "client/cpp/error_details.h"
#include "client/cpp/vectors.h"
#include "index/base/status_macros.h"

namespace tessera {

TempFolder* BadInputTest::folder_ = nullptr;
ServerProcess* BadInputTest::server_ = nullptr;

void BadInputTest::SetUpTestSuite() {
  folder_ = new TempFolder();
  auto server = ServerProcess::Start({.data_dir = folder_->path()});
  ASSERT_OK(server.status());
  server_ = server->release();
  for (const std::string name : {"trained", "untrained", "bytes"}) {
    v1::CreateCollectionRequest create;
    create.set_collection_name(name);
    create.set_dimension(kDimension);
    create.set_metric(v1::L2);
    if (name == "bytes") create.set_element_type(v1::UINT8);
    ASSERT_OK(client().CreateCollection(create).status());
    v1::UpsertRequest upsert;
    upsert.set_collection_name(name);
    for (uint64_t id = 0; id < kPoints; ++id) upsert.mutable_ids()->add_num(id);
    *upsert.mutable_vectors() = MakeVectors(Floats(kPoints * kDimension));
    ASSERT_OK(client().Upsert(upsert).status());
  }
  ASSERT_OK(TrainAndWait(client(), "trained").status());
}

void BadInputTest::TearDownTestSuite() {
  delete server_;
  delete folder_;
  server_ = nullptr;
  folder_ = nullptr;
}

std::vector<float> BadInputTest::Floats(size_t components) {
  std::vector<float> floats;
  for (size_t i = 0; i < components; ++i) floats.push_back(static_cast<float>(i * i % 251));
  return floats;
}

absl::StatusOr<std::string> BadInputTest::State() {
  std::string text;
  ASSIGN_OR_RETURN(v1::ListCollectionsResponse list, client().ListCollections({}));
  for (v1::Collection& collection : *list.mutable_collections()) {
    collection.clear_disk_bytes();  // an estimate, which moves by itself
    absl::StrAppend(&text, collection.DebugString());
    ASSIGN_OR_RETURN(const uint64_t count, client().CountPoints(collection.collection_name()));
    ASSIGN_OR_RETURN(const v1::ListCodebooksResponse codebooks,
                     client().ListCodebooks(collection.collection_name()));
    absl::StrAppend(&text, count, codebooks.DebugString());
  }
  ASSIGN_OR_RETURN(const v1::ListOperationsResponse operations, client().ListOperations(""));
  return absl::StrCat(text, operations.DebugString());
}

void BadInputTest::ExpectRefused(const std::vector<BadInput>& inputs) {
  ASSERT_OK_AND_ASSIGN(const std::string before, State());
  for (const BadInput& input : inputs) {
    SCOPED_TRACE(input.name);
    const absl::Status status = input.call(client());
    EXPECT_EQ(status.code(), input.code) << status;
    EXPECT_FALSE(status.message().empty());
    const ErrorDetails details = GetErrorDetails(status);
    EXPECT_EQ(details.reason, input.reason) << status;
    if (!input.reason.empty()) {
      EXPECT_EQ(details.domain, "tessera");
    }
    std::string fields;
    for (const auto& violation : details.field_violations) {
      fields += violation.field;
      EXPECT_FALSE(violation.description.empty());
    }
    EXPECT_EQ(fields, input.field) << status;
    ASSERT_OK_AND_ASSIGN(const std::string after, State());
    ASSERT_EQ(before, after);
  }
  EXPECT_TRUE(server_->running()) << server_->LogTail();
}

BadInput BadInputTest::NotFound(BadInput input) {
  input.code = absl::StatusCode::kNotFound;
  input.reason = "NOT_FOUND";
  return input;
}

void BadInputTest::AddBadFilter(v1::Filter* filter) {
  v1::Condition& condition = *filter->add_must();
  condition.set_key("n");
  condition.mutable_range()->set_gte(std::numeric_limits<double>::quiet_NaN());
}

}  // namespace tessera
