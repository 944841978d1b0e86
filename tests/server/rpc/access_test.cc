// Who may call what: every method of every service, with no key, a wrong one and one of each kind.
#include <map>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "google/protobuf/descriptor.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "server/rpc/call_access.h"
#include "server/rpc/health_client.h"
#include "tessera/v1/snapshots.pb.h"
#include "tests/server/auth/replace_file.h"
#include "tests/server/rpc/raw_call.h"
#include "tests/server/rpc/server_fixture.h"

namespace tessera {
namespace {

constexpr char kReader[] = "reader-0123456789";
constexpr char kWriter[] = "writer-0123456789";

CallMetadata Bearer(const std::string& key) { return {{"authorization", "Bearer " + key}}; }

// What each method needs, on purpose not read from where the server has it: a method without a row
// here fails the test.
const std::map<std::string, Access>& Needed() {
  constexpr Access kRead = Access::kRead;
  constexpr Access kWrite = Access::kWrite;
  static const auto& needed = *new std::map<std::string, Access>{
      {"Collections.Create", kWrite},
      {"Collections.Get", kRead},
      {"Collections.List", kRead},
      {"Collections.Update", kWrite},
      {"Collections.GetListStatistics", kRead},
      {"Collections.Delete", kWrite},
      {"Collections.Calibrate", kWrite},
      {"Collections.UpdateAliases", kWrite},
      {"Collections.ListAliases", kRead},
      {"Collections.CreatePayloadIndex", kWrite},
      {"Collections.DropPayloadIndex", kWrite},
      {"Points.Upsert", kWrite},
      {"Points.UpsertStream", kWrite},
      {"Points.UpdateVectors", kWrite},
      {"Points.Delete", kWrite},
      {"Points.DeleteByFilter", kWrite},
      {"Points.SetPayload", kWrite},
      {"Points.OverwritePayload", kWrite},
      {"Points.DeletePayload", kWrite},
      {"Points.ClearPayload", kWrite},
      {"Points.Get", kRead},
      {"Points.Count", kRead},
      {"Points.Scroll", kRead},
      {"Points.Facet", kRead},
      {"Points.Search", kRead},
      {"Points.SearchStream", kRead},
      {"Points.SearchRange", kRead},
      {"Points.SearchBatch", kRead},
      {"Points.SearchGroups", kRead},
      {"Codebooks.Train", kWrite},
      {"Codebooks.Get", kRead},
      {"Codebooks.List", kRead},
      {"Codebooks.Activate", kWrite},
      {"Codebooks.Delete", kWrite},
      {"Codebooks.Encode", kRead},
      {"Codebooks.Decode", kRead},
      {"Codebooks.Export", kRead},
      {"Codebooks.Import", kWrite},
      {"Snapshots.Create", kWrite},
      {"Snapshots.List", kRead},
      {"Snapshots.Get", kRead},
      {"Snapshots.Verify", kWrite},
      {"Snapshots.Delete", kWrite},
      {"Snapshots.Restore", kWrite},
      {"Operations.Get", kRead},
      {"Operations.List", kRead},
      {"Operations.Watch", kRead},
      {"Operations.Cancel", kWrite},
      {"ServerReflection.ServerReflectionInfo", kRead},
  };
  return needed;
}

struct Method {
  std::string name;  // "Points.Search"
  std::string path;  // "/tessera.v1.Points/Search"
};

std::vector<Method> ServedMethods() {
  std::vector<Method> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::Collection::descriptor()->file(), v1::SearchRequest::descriptor()->file(),
        v1::Codebook::descriptor()->file(), v1::Operation::descriptor()->file(),
        v1::Snapshot::descriptor()->file(),
        grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      const google::protobuf::ServiceDescriptor* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        const std::string& name = service->method(j)->name();
        methods.push_back({absl::StrCat(service->name(), ".", name),
                           absl::StrCat("/", service->full_name(), "/", name)});
      }
    }
  }
  return methods;
}

class AccessTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    server_.reset();
    WriteKeys(absl::StrCat("read ", kReader, "\nwrite ", kWriter, "\n"));
    SecretsOptions options;
    options.api_keys_file = KeysFile();
    options.interval = absl::Milliseconds(5);
    auto secrets = Secrets::Open(options);
    ASSERT_TRUE(secrets.ok()) << secrets.status();
    secrets_ = *std::move(secrets);
    StartServer();
  }

  std::string KeysFile() const { return directory_ + "/keys"; }
  void WriteKeys(const std::string& text) { ReplaceFile(KeysFile(), text); }

  CallError CallWith(const std::string& path, const CallMetadata& metadata) {
    return CallError(CallWithBytes(channel_, path, "", nullptr, metadata));
  }

  static constexpr char kCount[] = "/tessera.v1.Points/Count";
};

bool IsRefused(const CallError& error) {
  return error.code == grpc::StatusCode::UNAUTHENTICATED ||
         error.code == grpc::StatusCode::PERMISSION_DENIED;
}

TEST_F(AccessTest, EveryMethodAsksForItsKey) {
  server_->Serve(*engine_);
  const std::vector<Method> methods = ServedMethods();
  EXPECT_EQ(methods.size(), Needed().size());
  for (const Method& method : methods) {
    SCOPED_TRACE(method.name);
    const auto row = Needed().find(method.name);
    ASSERT_NE(row, Needed().end()) << "says nowhere what it needs";
    EXPECT_EQ(AccessNeeded(method.name), row->second);

    const CallError none = CallWith(method.path, {});
    EXPECT_EQ(none.code, grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(none.reason, "API_KEY_MISSING");
    const CallError wrong = CallWith(method.path, Bearer("wrong-0123456789abc"));
    EXPECT_EQ(wrong.code, grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(wrong.reason, "API_KEY_UNKNOWN");
    const CallError reader = CallWith(method.path, Bearer(kReader));
    EXPECT_EQ(IsRefused(reader), row->second == Access::kWrite);
    if (IsRefused(reader)) {
      EXPECT_EQ(reader.code, grpc::StatusCode::PERMISSION_DENIED);
      EXPECT_EQ(reader.reason, "READ_ONLY_API_KEY");
    }
    EXPECT_FALSE(IsRefused(CallWith(method.path, Bearer(kWriter))));
  }
}

TEST_F(AccessTest, ReadsTheKeyInEitherForm) {
  server_->Serve(*engine_);
  const std::string key = kReader;
  for (const CallMetadata& metadata : std::vector<CallMetadata>{
           {{"api-key", key}},
           {{"authorization", "bearer " + key}},
           {{"authorization", "Basic abc"}, {"api-key", key}},
           {{"authorization", "Bearer " + key}, {"api-key", "wrong-0123456789abc"}}}) {
    EXPECT_FALSE(IsRefused(CallWith(kCount, metadata)));
  }
  for (const CallMetadata& metadata : std::vector<CallMetadata>{
           {{"api-key", ""}},
           {{"x-api-key", key}},
           {{"authorization", key}},
           {{"authorization", "Bearer"}},
           {{"authorization", "Bearer wrong-0123456789abc"}, {"api-key", key}}}) {
    EXPECT_EQ(CallWith(kCount, metadata).code, grpc::StatusCode::UNAUTHENTICATED);
  }
}

TEST_F(AccessTest, WhoHasNoKeyLearnsNothingOfTheServersState) {
  EXPECT_EQ(CallWith(kCount, {}).reason, "API_KEY_MISSING");
  EXPECT_EQ(CallWith(kCount, Bearer(kReader)).reason, "SERVER_STARTING");
}

TEST_F(AccessTest, HealthIsForEverybody) {
  EXPECT_EQ(CheckHealth(Address(), absl::Seconds(30)).code(), absl::StatusCode::kUnavailable);
  server_->Serve(*engine_);
  EXPECT_TRUE(CheckHealth(Address(), absl::Seconds(30)).ok());
}

TEST_F(AccessTest, ChangedKeysHoldForTheNextCall) {
  server_->Serve(*engine_);
  EXPECT_FALSE(IsRefused(CallWith(kCount, Bearer(kReader))));
  WriteKeys(absl::StrCat("write ", kWriter, "\n"));
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  while (!IsRefused(CallWith(kCount, Bearer(kReader))) && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_EQ(CallWith(kCount, Bearer(kReader)).reason, "API_KEY_UNKNOWN");
  EXPECT_FALSE(IsRefused(CallWith(kCount, Bearer(kWriter))));
}

}  // namespace
}  // namespace tessera
