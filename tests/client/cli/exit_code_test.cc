#include "client/cli/exit_code.h"

#include "client/cpp/error_details.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace tessera::cli {
namespace {

TEST(ExitCode, TellsKindsOfFailureApart) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("")), ExitCode::kError);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("")), ExitCode::kError);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeOf(absl::DeadlineExceededError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(absl::AlreadyExistsError("")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(absl::FailedPreconditionError("")), ExitCode::kRefused);
}

TEST(ExitCode, MarksOfTheCliPrevailOverCodes) {
  EXPECT_EQ(ExitCodeOf(UsageError("x")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(InputFileError(absl::NotFoundError("x"))), ExitCode::kInputFile);
  EXPECT_EQ(ExitCodeOf(OutputFileError(absl::NotFoundError("x"))), ExitCode::kError);
  EXPECT_EQ(ExitCodeOf(InterruptedError("x")), ExitCode::kInterrupted);
  EXPECT_TRUE(InputFileError(absl::OkStatus()).ok());
  EXPECT_TRUE(OutputFileError(absl::OkStatus()).ok());
}

TEST(ExitCode, AnotherMessageKeepsMarksAndDetails) {
  const absl::Status file = WithMessage(InputFileError(absl::NotFoundError("x")), "y");
  EXPECT_EQ(file.message(), "y");
  EXPECT_EQ(ExitCodeOf(file), ExitCode::kInputFile);
  google::rpc::Status wire;
  wire.set_code(3);
  google::rpc::ErrorInfo info;
  info.set_reason("BAD_DIMENSION");
  wire.add_details()->PackFrom(info);
  EXPECT_EQ(GetErrorDetails(WithMessage(ToAbslStatus(wire), "y")).reason, "BAD_DIMENSION");
}

}  // namespace
}  // namespace tessera::cli
