#include "server/config/address.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(AddressTest, TakesHostAndPortApart) {
  const auto name = ParseAddress("localhost:6433");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->host, "localhost");
  EXPECT_EQ(name->port, 6433);

  const auto v6 = ParseAddress("[::1]:0");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 0);
  EXPECT_EQ(v6->ToString(), "[::1]:0");
}

TEST(AddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "localhost", "localhost:", "localhost:x", "localhost:-1",
                           "localhost:65536", "::1:80", "[::1]", "localhost: 1", "a:1:2"}) {
    EXPECT_EQ(ParseAddress(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(AddressTest, KnowsWhichAddressesStayOnTheMachine) {
  for (const char* text : {"127.0.0.1:1", "127.9.8.7:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(IsLoopback(*ParseAddress(text))) << text;
  }
  for (const char* text : {"0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1",
                           "localhost.example:1", "127.0.0.1.example:1"}) {
    EXPECT_FALSE(IsLoopback(*ParseAddress(text))) << text;
  }
}

TEST(AddressTest, AsksLoopbackWhereAServerListensOnAny) {
  EXPECT_EQ(ReachableFromHere(*ParseAddress("0.0.0.0:7")).ToString(), "127.0.0.1:7");
  EXPECT_EQ(ReachableFromHere(*ParseAddress(":7")).ToString(), "127.0.0.1:7");
  EXPECT_EQ(ReachableFromHere(*ParseAddress("[::]:7")).ToString(), "[::1]:7");
  EXPECT_EQ(ReachableFromHere(*ParseAddress("10.0.0.1:7")).ToString(), "10.0.0.1:7");
}

}  // namespace
}  // namespace tessera
