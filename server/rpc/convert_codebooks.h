#ifndef TESSERA_SERVER_RPC_CONVERT_CODEBOOKS_H_
#define TESSERA_SERVER_RPC_CONVERT_CODEBOOKS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/types.h"
#include "tessera/v1/codebooks.pb.h"

namespace tessera {

TrainRequest ToTrainRequest(const v1::TrainRequest& request);
void FromCodebookInfo(const CodebookInfo& info, v1::Codebook* out);

// Takes the request's bytes. Whether they fit the codebook is for the engine to say.
absl::StatusOr<CodeRows> ToCodeRows(v1::Codes& codes);
void FromCodeRows(CodeRows&& rows, v1::EncodeResponse* out);

// Rows of floats.
void FromFloats(const std::vector<float>& values, v1::Vectors* out);

}  // namespace tessera

#endif  // TESSERA_SERVER_RPC_CONVERT_CODEBOOKS_H_
