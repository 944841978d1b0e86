#include "index/quantize/product_quantizer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "index/base/buffer.h"
#include "index/base/check.h"
#include "index/base/limits.h"
#include "index/base/pq_code.h"
#include "index/quantize/codeword_trainer.h"
#include "index/simd/pq_encode.h"

namespace tessera {
namespace {

// Vectors that codewords are trained on: more gain nothing that can be measured.
constexpr size_t kTrainingVectorsMin = 32'768;
constexpr size_t kTrainingVectorsPerCodeword = 256;
// Subquantizers trained between two calls of the observer.
constexpr uint32_t kSubquantizersPerStep = 16;

constexpr const char* kPhase = "product quantizer";

// The components of part j of a vector that exist; the rest of the part is padding.
size_t ComponentsOf(size_t dimension, size_t sub_dimension, size_t j) {
  const size_t begin = j * sub_dimension;
  return begin >= dimension ? 0 : std::min(sub_dimension, dimension - begin);
}

// Part j of every `stride`-th vector, in blocks of kPqBlock points.
AlignedBuffer<float> GatherPart(MatrixView vectors, size_t count, size_t sub_dimension, size_t j) {
  const size_t block_floats = sub_dimension * kPqBlock;
  AlignedBuffer<float> blocks((count + kPqBlock - 1) / kPqBlock * block_floats);
  const size_t components = ComponentsOf(vectors.cols, sub_dimension, j);
  for (size_t i = 0; i < count; ++i) {
    // Spread over all vectors, in a fixed way.
    const size_t row = i * vectors.rows / count;
    const float* part = vectors.data + row * vectors.cols + j * sub_dimension;
    float* block = blocks.data() + i / kPqBlock * block_floats + i % kPqBlock;
    for (size_t t = 0; t < components; ++t) block[t * kPqBlock] = part[t];
  }
  return blocks;
}

absl::Status CheckOptions(MatrixView vectors, const ProductQuantizerOptions& options) {
  if (options.nbits != 4 && options.nbits != 8) {
    return absl::InvalidArgumentError(absl::StrCat("nbits is 4 or 8, got ", options.nbits));
  }
  const size_t m_max = std::min<size_t>(vectors.cols, limits::kSubquantizersMax);
  if (options.subquantizers == 0 || options.subquantizers > m_max) {
    return absl::InvalidArgumentError(absl::StrCat("subquantizers must be 1 to ", m_max,
                                                   " for dimension ", vectors.cols, ", got ",
                                                   options.subquantizers));
  }
  if (vectors.rows == 0) {
    return absl::InvalidArgumentError("a product quantizer needs vectors to be trained on");
  }
  return absl::OkStatus();
}

}  // namespace

ProductQuantizer::ProductQuantizer(size_t dimension, uint32_t subquantizers, uint32_t nbits,
                                   Matrix codewords)
    : dimension_(dimension),
      subquantizers_(subquantizers),
      nbits_(nbits),
      sub_dimension_(static_cast<uint32_t>((dimension + subquantizers - 1) / subquantizers)),
      codewords_(std::move(codewords)),
      half_norms_(codewords_.rows()) {
  const size_t count = size_t{1} << nbits;
  TESSERA_CHECK((nbits == 4 || nbits == 8) && codewords_.rows() == subquantizers * count &&
                codewords_.cols() == sub_dimension_);
  for (size_t row = 0; row < codewords_.rows(); ++row) {
    const float* word = codewords_.row(row).data();
    double norm = 0;
    for (size_t t = 0; t < sub_dimension_; ++t) norm += double{word[t]} * word[t];
    half_norms_[row] = static_cast<float>(0.5 * norm);
  }
}

absl::StatusOr<ProductQuantizer> ProductQuantizer::Train(MatrixView vectors,
                                                         const ProductQuantizerOptions& options,
                                                         Executor& executor,
                                                         ProgressObserver* observer) {
  if (absl::Status status = CheckOptions(vectors, options); !status.ok()) return status;
  const uint32_t m = options.subquantizers;
  const size_t sub_dimension = (vectors.cols + m - 1) / m;
  const size_t count = size_t{1} << options.nbits;
  const size_t used =
      std::min(vectors.rows, std::max(kTrainingVectorsMin, kTrainingVectorsPerCodeword * count));
  Matrix codewords(m * count, sub_dimension);
  for (uint32_t done = 0; done < m; done += kSubquantizersPerStep) {
    if (observer != nullptr && !observer->OnProgress(kPhase, done, m)) {
      return absl::CancelledError("training the product quantizer was cancelled");
    }
    const uint32_t step = std::min(kSubquantizersPerStep, m - done);
    executor.ParallelFor(step, 1, [&](size_t begin, size_t end) {
      for (size_t j = done + begin; j < done + end; ++j) {
        const AlignedBuffer<float> blocks = GatherPart(vectors, used, sub_dimension, j);
        TrainCodewords(blocks.data(), used, sub_dimension, count, options.iterations,
                       options.seed + j, codewords.row(j * count).data());
      }
    });
  }
  if (observer != nullptr && !observer->OnProgress(kPhase, m, m)) {
    return absl::CancelledError("training the product quantizer was cancelled");
  }
  return ProductQuantizer(vectors.cols, m, options.nbits, std::move(codewords));
}

size_t ProductQuantizer::memory_bytes() const {
  return (codewords_.rows() * codewords_.cols() + half_norms_.size()) * sizeof(float);
}

void ProductQuantizer::EncodeBlock(const float* rows, size_t count, float* block,
                                   uint8_t* codes) const {
  std::array<uint8_t, kPqBlock> numbers;
  std::array<float, kPqBlock> costs;
  const size_t bytes = code_bytes();
  for (uint32_t j = 0; j < subquantizers_; ++j) {
    const size_t components = ComponentsOf(dimension_, sub_dimension_, j);
    TransposeToBlock(rows + j * sub_dimension_, count, dimension_, components, block);
    std::fill(block + components * kPqBlock, block + sub_dimension_ * kPqBlock, 0.0f);
    NearestCodewords(block, sub_dimension_, codewords(j),
                     half_norms_.data() + size_t{j} * codewords(), codewords(), numbers.data(),
                     costs.data());
    if (nbits_ == 8) {
      for (size_t i = 0; i < count; ++i) codes[i * bytes + j] = numbers[i];
    } else if (j % 2 == 0) {
      for (size_t i = 0; i < count; ++i) codes[i * bytes + j / 2] = numbers[i];
    } else {
      for (size_t i = 0; i < count; ++i) codes[i * bytes + j / 2] |= numbers[i] << 4;
    }
  }
}

void ProductQuantizer::Encode(MatrixView vectors, uint8_t* codes) const {
  TESSERA_CHECK(vectors.cols == dimension_);
  AlignedBuffer<float> block(sub_dimension_ * kPqBlock);
  for (size_t i = 0; i < vectors.rows; i += kPqBlock) {
    EncodeBlock(vectors.data + i * dimension_, std::min(kPqBlock, vectors.rows - i), block.data(),
                codes + i * code_bytes());
  }
}

void ProductQuantizer::Decode(const uint8_t* code, float* out) const {
  for (uint32_t j = 0; j < subquantizers_; ++j) {
    const size_t components = ComponentsOf(dimension_, sub_dimension_, j);
    const float* word = codewords(j) + size_t{PqCodeword(code, j, nbits_)} * sub_dimension_;
    std::copy(word, word + components, out + size_t{j} * sub_dimension_);
  }
}

}  // namespace tessera
