#include "tests/server/auth/test_certificate.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

void Require(bool done, const char* what) {
  if (done) return;
  std::fprintf(stderr, "cannot make a certificate: %s\n", what);
  std::exit(1);
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  Require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

std::string TextOf(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

struct Signer {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
};

// Signs itself if `signer` is empty.
TestCertificate Make(const std::string& name, absl::Time begin, bool authority,
                     const Signer& signer) {
  static int serial = 0;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  Require(key != nullptr && certificate != nullptr, "key");
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  time_t since = absl::ToTimeT(begin);
  X509_time_adj(X509_getm_notBefore(certificate), -60, &since);
  X509_time_adj(X509_getm_notAfter(certificate), 86'400, &since);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  const bool own = signer.certificate == nullptr;
  X509_set_issuer_name(certificate, own ? subject : X509_get_subject_name(signer.certificate));
  AddExtension(certificate, NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!authority) AddExtension(certificate, NID_subject_alt_name, absl::StrCat("DNS:", name));
  Require(X509_sign(certificate, own ? key : signer.key, EVP_sha256()) != 0, "signature");

  TestCertificate made;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  made.certificate = TextOf(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  made.key = TextOf(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

BIO* Reader(const std::string& text) {
  return BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
}

}  // namespace

TestCertificate MakeTestCertificate(const std::string& name, absl::Time begin) {
  return Make(name, begin, /*authority=*/false, {});
}

TestCertificate MakeTestAuthority(const std::string& name) {
  return Make(name, absl::Now(), /*authority=*/true, {});
}

TestCertificate SignTestCertificate(const std::string& name, const TestCertificate& authority) {
  BIO* certificate_text = Reader(authority.certificate);
  BIO* key_text = Reader(authority.key);
  const Signer signer = {PEM_read_bio_X509(certificate_text, nullptr, nullptr, nullptr),
                         PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr)};
  Require(signer.certificate != nullptr && signer.key != nullptr, "authority");
  const TestCertificate made = Make(name, absl::Now(), /*authority=*/false, signer);
  X509_free(signer.certificate);
  EVP_PKEY_free(signer.key);
  BIO_free(certificate_text);
  BIO_free(key_text);
  return made;
}

}  // namespace tessera
