#include "server/auth/tls_identity.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <utility>

namespace tessera {
namespace {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

Bio Reader(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// The first certificate; null if one of the chain is damaged, or there is none.
Certificate ReadChain(const std::string& pem) {
  const Bio bio = Reader(pem);
  Certificate first(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (first == nullptr) return nullptr;
  while (const Certificate next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
  }
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? std::move(first) : nullptr;
}

Key ReadKey(const std::string& pem) {
  // OpenSSL would ask the terminal for the password of a key that has one.
  pem_password_cb* const no_password = [](char*, int, int, void*) { return -1; };
  return Key(PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, no_password, nullptr));
}

absl::StatusOr<absl::Time> ExpiryOf(const X509* certificate) {
  tm end = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) {
    return absl::InvalidArgumentError("the certificate does not say how long it is valid");
  }
  return absl::FromTM(end, absl::UTCTimeZone());
}

absl::StatusOr<TlsIdentity> Make(std::string certificate_chain, std::string private_key) {
  const Certificate certificate = ReadChain(certificate_chain);
  if (certificate == nullptr) {
    return absl::InvalidArgumentError("the certificate's file is not one or more of them as PEM");
  }
  const Key key = ReadKey(private_key);
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        "the key's file is not a private key without password as PEM");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError("the key is not that of the certificate");
  }
  // As a handshake will use them: OpenSSL has a least length of keys, for one.
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr || SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(
        "the certificate is not strong enough for TLS on this machine");
  }
  const absl::StatusOr<absl::Time> expiry = ExpiryOf(certificate.get());
  if (!expiry.ok()) return expiry.status();
  return TlsIdentity{std::move(certificate_chain), std::move(private_key), *expiry};
}

}  // namespace

absl::StatusOr<TlsIdentity> MakeTlsIdentity(std::string certificate_chain,
                                            std::string private_key) {
  ERR_clear_error();
  auto identity = Make(std::move(certificate_chain), std::move(private_key));
  // What OpenSSL leaves in the thread's queue would pass for an error of its next caller, gRPC.
  ERR_clear_error();
  return identity;
}

}  // namespace tessera
