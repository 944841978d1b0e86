#include "tests/integration/wordnet.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "client/cpp/vectors.h"
#include "index/base/check.h"
#include "index/base/status_macros.h"
#include "tests/integration/subprocess.h"

namespace tessera {
namespace {

constexpr size_t kChunkRows = 2'000;

// Rows x columns of a .npy file of version 1, which holds elements of type `descr`.
std::string ReadNpy(const std::string& path, const char* descr, size_t* rows, size_t* columns) {
  const std::string file = ReadWholeFile(path);
  TESSERA_CHECK(file.size() > 10 && file.compare(0, 7, std::string("\x93NUMPY\x01", 7)) == 0);
  const size_t header_bytes = static_cast<uint8_t>(file[8]) + 256u * static_cast<uint8_t>(file[9]);
  const std::string header = file.substr(10, header_bytes);
  TESSERA_CHECK(header.find(descr) != std::string::npos);
  const size_t shape = header.find("'shape': (");
  TESSERA_CHECK(shape != std::string::npos);
  TESSERA_CHECK(std::sscanf(header.c_str() + shape, "'shape': (%zu, %zu)", rows, columns) == 2);
  return file.substr(10 + header_bytes);
}

std::vector<std::vector<int>> ReadIvecs(const std::string& path) {
  const std::string file = ReadWholeFile(path);
  std::vector<std::vector<int>> rows;
  size_t at = 0;
  while (at < file.size()) {
    int32_t count = 0;
    TESSERA_CHECK(at + sizeof(count) <= file.size());
    std::memcpy(&count, file.data() + at, sizeof(count));
    at += sizeof(count);
    TESSERA_CHECK(count > 0 && at + count * sizeof(int32_t) <= file.size());
    std::vector<int>& row = rows.emplace_back(count);
    std::memcpy(row.data(), file.data() + at, count * sizeof(int32_t));
    at += count * sizeof(int32_t);
  }
  return rows;
}

std::vector<std::string> ReadLines(const std::string& path) {
  const std::string file = ReadWholeFile(path);
  std::vector<std::string> lines;
  for (size_t at = 0; at < file.size();) {
    const size_t end = std::min(file.find('\n', at), file.size());
    lines.push_back(file.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

WordNet ReadWordNet() {
  WordNet data;
  size_t rows = 0;
  size_t queries = 0;
  size_t query_dimension = 0;
  data.vectors = ReadNpy(WordNetFile("vectors.npy"), "<f2", &rows, &data.dimension);
  TESSERA_CHECK(data.vectors.size() == rows * data.dimension * sizeof(uint16_t));
  data.floats = *ToFloats(MakeVectors(data.vectors, ElementType::kFloat16));
  data.payloads = ReadLines(WordNetFile("payload.jsonl"));
  TESSERA_CHECK(data.payloads.size() == rows);
  const std::string bytes = ReadNpy(WordNetFile("queries.npy"), "<f4", &queries, &query_dimension);
  TESSERA_CHECK(query_dimension == data.dimension);
  data.queries = *ToFloats(MakeVectors(bytes, ElementType::kFloat32));
  TESSERA_CHECK(data.queries.size() == queries * data.dimension);
  data.ground_truth = ReadIvecs(WordNetFile("groundtruth.ivecs"));
  TESSERA_CHECK(data.ground_truth.size() == queries);
  return data;
}

}  // namespace

const WordNet& GetWordNet() {
  static const WordNet& data = *new WordNet(ReadWordNet());
  return data;
}

std::string WordNetFile(const std::string& name) {
  return std::string(TESSERA_TEST_DATA_DIR) + "/wordnet/" + name;
}

absl::Status CreateWordNet(Client& client, const std::string& collection,
                           v1::VectorPlacement placement) {
  v1::CreateCollectionRequest request;
  request.set_collection_name(collection);
  request.set_dimension(static_cast<uint32_t>(GetWordNet().dimension));
  request.set_metric(v1::INNER_PRODUCT);
  request.set_element_type(v1::FLOAT16);
  request.mutable_index()->set_vectors(placement);
  // The default of vectors in memory, so that collections of either placement have the same codes.
  constexpr uint32_t kSubquantizers = 32;
  request.mutable_index()->set_subquantizers(kSubquantizers);
  return client.CreateCollection(request).status();
}

absl::Status LoadWordNet(Client& client, const std::string& collection, size_t begin, size_t end) {
  const WordNet& data = GetWordNet();
  const size_t row_bytes = data.dimension * sizeof(uint16_t);
  auto upserter = client.StartBulkUpsert({.collection_name = collection});
  for (size_t from = begin; from < end; from += kChunkRows) {
    const size_t to = std::min(end, from + kChunkRows);
    v1::UpsertRequest chunk;
    for (size_t row = from; row < to; ++row) {
      chunk.mutable_ids()->add_num(row);
      chunk.add_payloads(data.payloads[row]);
    }
    *chunk.mutable_vectors() = MakeVectors(
        data.vectors.substr(from * row_bytes, (to - from) * row_bytes), ElementType::kFloat16);
    RETURN_IF_ERROR(upserter->Write(std::move(chunk)));
  }
  RETURN_IF_ERROR(upserter->Finish());
  if (upserter->acknowledged_points() == end - begin) return absl::OkStatus();
  return absl::InternalError("the stream ended without acknowledging every point");
}

}  // namespace tessera
