#ifndef TESSERA_TESTS_ENVIRONMENT_H_
#define TESSERA_TESTS_ENVIRONMENT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

namespace tessera {

// The number in the environment variable `name`, `otherwise` without one: what makes a test run
// longer, or repeats it. A variable that is no number fails the test.
inline uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  if (given == nullptr) return otherwise;
  char* end = nullptr;
  const uint64_t number = std::strtoull(given, &end, 10);
  EXPECT_TRUE(end != given && *end == 0) << name << " is not a number: " << given;
  return number;
}

}  // namespace tessera

#endif  // TESSERA_TESTS_ENVIRONMENT_H_
