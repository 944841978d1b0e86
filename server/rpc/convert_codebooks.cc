#include "server/rpc/convert_codebooks.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "index/base/limits.h"
#include "server/engine/errors.h"
#include "server/rpc/convert_types.h"

namespace tessera {

TrainRequest ToTrainRequest(const v1::TrainRequest& request) {
  return TrainRequest{
      .collection = request.collection_name(), .nlist = request.nlist(), .seed = request.seed()};
}

void FromCodebookInfo(const CodebookInfo& info, v1::Codebook* out) {
  out->set_collection_name(info.collection);
  out->set_version(info.version);
  out->set_current(info.current);
  out->set_dimension(info.dimension);
  out->set_metric(FromMetric(info.metric));
  out->set_nlist(info.nlist);
  out->set_subquantizers(info.subquantizers);
  out->set_nbits(info.nbits);
  out->set_code_bytes(info.code_bytes);
  out->set_content_hash(info.content_hash);
  out->set_size_bytes(info.size_bytes);
  out->set_training_vectors(info.training_vectors);
  out->set_mean_squared_error(info.mean_squared_error);
  FromTimeMs(info.create_time_ms, out->mutable_create_time());
}

absl::StatusOr<CodeRows> ToCodeRows(v1::Codes& codes) {
  const size_t rows = static_cast<size_t>(codes.lists_size());
  if (rows == 0) return InvalidField("codes.lists", "is empty");
  if (rows > limits::kEncodeVectorsMax) {
    return InvalidField("codes.lists", absl::StrCat("has ", rows, " entries, the limit is ",
                                                    limits::kEncodeVectorsMax));
  }
  if (codes.codes().empty() || codes.codes().size() % rows != 0) {
    return InvalidField("codes.codes",
                        absl::StrCat("is ", codes.codes().size(), " bytes, not a multiple of the ",
                                     rows, " rows of codes.lists"));
  }
  CodeRows out;
  out.codebook_version = codes.codebook_version();
  out.lists.assign(codes.lists().begin(), codes.lists().end());
  out.codes = std::move(*codes.mutable_codes());
  return out;
}

void FromCodeRows(CodeRows&& rows, v1::EncodeResponse* out) {
  v1::Codes* codes = out->mutable_codes();
  codes->set_codebook_version(rows.codebook_version);
  codes->mutable_lists()->Add(rows.lists.begin(), rows.lists.end());
  codes->set_codes(std::move(rows.codes));
  out->mutable_errors()->Add(rows.errors.begin(), rows.errors.end());
}

void FromFloats(const std::vector<float>& values, v1::Vectors* out) {
  out->mutable_values()->Add(values.begin(), values.end());
  out->set_element_type(v1::FLOAT32);
}

}  // namespace tessera
