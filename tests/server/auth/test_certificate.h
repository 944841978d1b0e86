#ifndef TESSERA_TESTS_SERVER_AUTH_TEST_CERTIFICATE_H_
#define TESSERA_TESTS_SERVER_AUTH_TEST_CERTIFICATE_H_

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tessera {

// PEM texts of a certificate made anew.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

// Signed by itself, for the DNS name and for a day from `begin`. Exits on failure.
TestCertificate MakeTestCertificate(const std::string& name, absl::Time begin = absl::Now());

// The same, as who signs others; and one that it signs.
TestCertificate MakeTestAuthority(const std::string& name);
TestCertificate SignTestCertificate(const std::string& name, const TestCertificate& authority);

}  // namespace tessera

#endif  // TESSERA_TESTS_SERVER_AUTH_TEST_CERTIFICATE_H_
