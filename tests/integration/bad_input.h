#ifndef TESSERA_TESTS_INTEGRATION_BAD_INPUT_H_
#define TESSERA_TESTS_INTEGRATION_BAD_INPUT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/cpp/client.h"
#include "gtest/gtest.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"

namespace tessera {

// One call that the server must refuse, and how.
struct BadInput {
  std::string name;
  std::function<absl::Status(Client&)> call;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
  std::string reason = "INVALID_FIELD";  // of ErrorInfo
  std::string field = "";                // of BadRequest; empty: it has none
};

// A server with three collections of dimension kDimension and 300 points, numbers from 0:
//   "trained"    FLOAT32, L2, with a codebook
//   "untrained"  FLOAT32, L2
//   "bytes"      UINT8, L2
class BadInputTest : public testing::Test {
 protected:
  static constexpr uint32_t kDimension = 8;
  static constexpr uint64_t kPoints = 300;

  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override { ASSERT_NE(server_, nullptr); }

  static Client& client() { return server_->client(); }

  // Makes every call, and expects its error and that nothing has changed.
  static void ExpectRefused(const std::vector<BadInput>& inputs);

  // All collections, codebooks and operations, as text that can be compared.
  static absl::StatusOr<std::string> State();

  // A call with a good request of which `change` made a bad one.
  template <class Request, class Call>
  static BadInput Changed(std::string name, std::string field, Request request, Call call,
                          const std::function<void(Request&)>& change) {
    change(request);
    return {.name = std::move(name),
            .call = [=](Client& client) { return call(client, request); },
            .field = std::move(field)};
  }
  // The same call, refused because something does not exist.
  static BadInput NotFound(BadInput input);
  // A range with a bound that is no number, which the engine finds, not who reads the message.
  static void AddBadFilter(v1::Filter* filter);

  // `components` values that any element type holds.
  static std::vector<float> Floats(size_t components);

  static TempFolder* folder_;
  static ServerProcess* server_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_INTEGRATION_BAD_INPUT_H_
