#include "server/auth/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "index/base/limits.h"
#include "tests/server/auth/replace_file.h"
#include "tests/server/auth/test_certificate.h"

namespace tessera {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kOld[] = "old-key-0123456789";
constexpr char kNew[] = "new-key-0123456789";

class SecretsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "secrets_test_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  std::string File(const std::string& name) const { return folder_ + "/" + name; }

  void Replace(const std::string& name, const std::string& text) { ReplaceFile(File(name), text); }

  void Install(const TestCertificate& made) {
    Replace("cert", made.certificate);
    Replace("key", made.key);
  }

  SecretsOptions KeyOptions() {
    SecretsOptions options;
    options.api_keys_file = File("keys");
    options.interval = absl::Milliseconds(5);
    options.on_problem = [this](std::string_view message) {
      absl::MutexLock lock(&mutex_);
      problems_.emplace_back(message);
    };
    return options;
  }
  SecretsOptions TlsOptions() {
    SecretsOptions options = KeyOptions();
    options.api_keys_file.clear();
    options.tls_cert_file = File("cert");
    options.tls_key_file = File("key");
    return options;
  }

  std::vector<std::string> Problems() {
    absl::MutexLock lock(&mutex_);
    return problems_;
  }

  // The watcher looks every few milliseconds; a minute is for a machine that is busy.
  static bool Await(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(2));
    return condition();
  }

  static std::string OpenError(const SecretsOptions& options) {
    const auto secrets = Secrets::Open(options);
    EXPECT_FALSE(secrets.ok());
    return std::string(secrets.status().message());
  }

  std::string folder_;
  absl::Mutex mutex_;
  std::vector<std::string> problems_;
};

TEST_F(SecretsTest, WithoutFilesEverybodyMayDoEverything) {
  const auto secrets = Secrets::Open({});
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  EXPECT_FALSE((*secrets)->needs_key());
  EXPECT_EQ((*secrets)->AccessOf(""), Access::kWrite);
  EXPECT_EQ((*secrets)->identity(), nullptr);
}

TEST_F(SecretsTest, TakesChangedKeys) {
  Replace("keys", absl::StrCat("write ", kOld, "\n"));
  const auto secrets = Secrets::Open(KeyOptions());
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  EXPECT_TRUE((*secrets)->needs_key());
  EXPECT_EQ((*secrets)->AccessOf(kOld), Access::kWrite);
  EXPECT_EQ((*secrets)->AccessOf(kNew), Access::kNone);

  Replace("keys", absl::StrCat("read ", kNew, "\n"));
  EXPECT_TRUE(Await([&] { return (*secrets)->AccessOf(kNew) == Access::kRead; }));
  EXPECT_EQ((*secrets)->AccessOf(kOld), Access::kNone);
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(SecretsTest, KeepsTheKeysWhereTheNewFileIsNone) {
  Replace("keys", absl::StrCat("write ", kOld, "\n"));
  const auto secrets = Secrets::Open(KeyOptions());
  ASSERT_TRUE(secrets.ok()) << secrets.status();

  Replace("keys", "writes nonsense-0123456789\n");
  EXPECT_TRUE(Await([&] { return Problems().size() == 1; }));
  EXPECT_THAT(Problems(), Contains(HasSubstr("line 1")));
  EXPECT_EQ((*secrets)->AccessOf(kOld), Access::kWrite);

  std::filesystem::remove(File("keys"));
  EXPECT_TRUE(Await([&] { return Problems().size() == 2; }));
  EXPECT_THAT(Problems(), Contains(HasSubstr("cannot read")));
  EXPECT_EQ((*secrets)->AccessOf(kOld), Access::kWrite);

  Replace("keys", absl::StrCat("write ", kNew, "\n"));
  EXPECT_TRUE(Await([&] { return (*secrets)->AccessOf(kNew) == Access::kWrite; }));
}

TEST_F(SecretsTest, TakesARenewedCertificateOnceItsKeyIsThere) {
  const TestCertificate old = MakeTestCertificate("old");
  const TestCertificate renewed = MakeTestCertificate("renewed");
  Install(old);
  const auto secrets = Secrets::Open(TlsOptions());
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  const auto first = (*secrets)->identity();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->certificate_chain, old.certificate);

  Replace("cert", renewed.certificate);
  EXPECT_TRUE(Await([&] { return !Problems().empty(); }));
  EXPECT_THAT(Problems(), Contains(HasSubstr("the key is not that of the certificate")));
  EXPECT_EQ((*secrets)->identity(), first);

  Replace("key", renewed.key);
  EXPECT_TRUE(Await([&] { return (*secrets)->identity() != first; }));
  EXPECT_EQ((*secrets)->identity()->certificate_chain, renewed.certificate);
  EXPECT_EQ((*secrets)->identity()->private_key, renewed.key);
}

TEST_F(SecretsTest, TakesAChainAndTellsOfOneThatIsOutOfDate) {
  const TestCertificate expired = MakeTestCertificate("gone", absl::Now() - absl::Hours(48));
  const TestCertificate authority = MakeTestAuthority("authority");
  Replace("cert", absl::StrCat(expired.certificate, authority.certificate));
  Replace("key", expired.key);
  const auto secrets = Secrets::Open(TlsOptions());
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  EXPECT_LT((*secrets)->identity()->expiry, absl::Now());
  EXPECT_THAT(Problems(), Contains(HasSubstr("expired")));
}

TEST_F(SecretsTest, DoesNotStartWithoutWhatIsNamed) {
  EXPECT_THAT(OpenError(KeyOptions()), HasSubstr(File("keys")));
  std::filesystem::create_directories(File("keys"));
  EXPECT_THAT(OpenError(KeyOptions()), HasSubstr(File("keys") + ": is not a regular file"));

  EXPECT_THAT(OpenError(TlsOptions()), HasSubstr(File("cert")));
  const TestCertificate made = MakeTestCertificate("name");
  Install({"no certificate", made.key});
  EXPECT_THAT(OpenError(TlsOptions()), HasSubstr("certificate's file"));
  Install({absl::StrCat(made.certificate, "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n",
                        "-----END CERTIFICATE-----\n"),
           made.key});
  EXPECT_THAT(OpenError(TlsOptions()), HasSubstr("certificate's file"));
  Install({made.certificate, "no key"});
  EXPECT_THAT(OpenError(TlsOptions()), HasSubstr("key's file"));
  Install({made.certificate, MakeTestCertificate("other").key});
  EXPECT_THAT(OpenError(TlsOptions()), HasSubstr("not that of the certificate"));
  Install({std::string(limits::kAuthFileBytesMax + 1, 'x'), made.key});
  EXPECT_THAT(OpenError(TlsOptions()), HasSubstr("bytes"));
}

}  // namespace
}  // namespace tessera
