#ifndef TESSERA_INDEX_CODEBOOK_CODEBOOK_H_
#define TESSERA_INDEX_CODEBOOK_CODEBOOK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/base/executor.h"
#include "index/base/matrix.h"
#include "index/base/types.h"
#include "index/cluster/grouped_centroids.h"
#include "index/codebook/probe_rule.h"
#include "index/quantize/product_quantizer.h"
#include "index/quantize/rotation.h"

namespace tessera {

class SearchTrial;

// What to train. Every field is filled in (ChooseIndexParameters fills the ones a user left 0).
struct CodebookSpec {
  Metric metric = Metric::kCosine;
  uint32_t dimension = 0;
  uint32_t nlist = 0;
  uint32_t subquantizers = 0;  // m
  uint32_t nbits = 4;          // 4 or 8
  uint64_t seed = 1;
  uint32_t iterations = 20;
  uint32_t training_vectors_per_list = 256;
};

// How deep searches for 10 neighbours must look, as training has measured on its sample; zeros if
// the sample was too small, or the codebook is from a version that did not measure.
struct SearchNeeds {
  uint64_t vectors = 0;  // of the sample: training_vectors()
  uint64_t points = 0;   // that it was drawn from
  uint32_t nprobe = 0;
  uint32_t rerank = 0;  // candidates to compare in full

  friend bool operator==(const SearchNeeds&, const SearchNeeds&) = default;
};

// What the codes are for.
struct CodeUse {
  uint64_t points = 0;  // that the sample was drawn from
  // What it takes to compare one more candidate in full. If it is known, training chooses the
  // number of subquantizers by it, beginning at that of the spec.
  double candidate_ns = 0;
};

// INVALID_ARGUMENT naming the first field that is out of range.
absl::Status CheckCodebookSpec(const CodebookSpec& spec);

// The codes of `size()` vectors, and the numbers that scoring needs beside each.
struct EncodedVectors {
  std::vector<uint32_t> lists;  // the inverted list of each
  std::vector<uint8_t> codes;   // code_bytes() each: subquantizer 0 first, in the low nibble
  std::vector<float> biases;    // L2: |r~|^2 + 2 <c, r~>; inner product: 0 (design: one table)
  std::vector<float> errors;    // |r - r~|, the distance between the vector and its code

  size_t size() const { return lists.size(); }
  void Resize(size_t n, size_t code_bytes) {
    lists.resize(n);
    codes.resize(n * code_bytes);
    biases.resize(n);
    errors.resize(n);
  }
  // Appends row i of `from`.
  void Append(const EncodedVectors& from, size_t i) {
    const size_t code_bytes = from.codes.size() / from.size();
    lists.push_back(from.lists[i]);
    codes.insert(codes.end(), from.codes.begin() + static_cast<std::ptrdiff_t>(i * code_bytes),
                 from.codes.begin() + static_cast<std::ptrdiff_t>((i + 1) * code_bytes));
    biases.push_back(from.biases[i]);
    errors.push_back(from.errors[i]);
  }
};

// All that training learns: nlist coarse centroids and the codewords of a product quantizer of the
// residuals. Immutable and thread-safe; shared by snapshots of the index.
//
// Vectors and queries are prepared before everything else (Prepare): for COSINE they are
// normalised, and the metric is then the inner product; for L2 they are moved so that the median
// of the training sample's components becomes the origin, which no distance notices but arithmetic
// and tables of few bits do where data lie far from zero. centroids() are in that prepared form.
class Codebook {
 public:
  // Trains on a sample of vectors (rows x spec.dimension, finite). The sample is drawn by the
  // caller; fewer rows than nlist is INVALID_ARGUMENT. CANCELLED if the observer says so.
  // The same sample and spec give the same codebook on the same machine, whatever the parallelism.
  static absl::StatusOr<std::shared_ptr<const Codebook>> Train(const CodebookSpec& spec,
                                                               MatrixView sample,
                                                               Executor& executor,
                                                               ProgressObserver* observer,
                                                               const CodeUse& use = {});
  // The same without a copy of the sample, which is prepared where it lies.
  static absl::StatusOr<std::shared_ptr<const Codebook>> Train(const CodebookSpec& spec,
                                                               Matrix&& sample, Executor& executor,
                                                               ProgressObserver* observer,
                                                               const CodeUse& use = {});

  // The rows of a sample of so many that Train learns nothing from: it tries searches with them.
  // Ascending; none if the sample is small.
  static std::vector<uint32_t> RowsHeldBack(size_t sample_rows, uint32_t nlist);

  // The same codebook, but row i of `centroids`, prepared, is the centroid of lists[i].
  std::shared_ptr<const Codebook> WithCentroids(std::span<const uint32_t> lists,
                                                MatrixView centroids) const;
  // Whether codes of the list mean the same under both, which have come from one by WithCentroids.
  bool HasSameCentroid(const Codebook& other, uint32_t list) const;

  // The versioned, checksummed form that README.md in this folder gives the grammar of.
  std::string Serialize() const;
  // DATA_LOSS if the bytes are damaged, UNIMPLEMENTED if their version is newer than this code.
  static absl::StatusOr<std::shared_ptr<const Codebook>> Parse(std::string_view bytes);

  const CodebookSpec& spec() const { return spec_; }
  Metric metric() const { return spec_.metric; }
  uint32_t dimension() const { return spec_.dimension; }
  uint32_t nlist() const { return spec_.nlist; }
  uint32_t subquantizers() const { return spec_.subquantizers; }
  uint32_t nbits() const { return spec_.nbits; }
  uint32_t codewords() const { return 1u << spec_.nbits; }
  // Components per subquantizer; what is quantized is padded with zeros up to sub_dimension() * m.
  uint32_t sub_dimension() const { return quantizer_.sub_dimension(); }
  uint32_t padded_dimension() const { return sub_dimension() * spec_.subquantizers; }
  size_t code_bytes() const { return quantizer_.code_bytes(); }
  size_t memory_bytes() const;

  MatrixView centroids() const { return centroids_.view(); }  // nlist x dimension
  // Codewords of subquantizer j: codewords() x sub_dimension() floats.
  const float* codewords(uint32_t j) const { return quantizer_.codewords(j); }
  // The quantizer of the residuals, rotated if there is a rotation. One lookup table of a query
  // (ForTable) serves all lists.
  const ProductQuantizer& quantizer() const { return quantizer_; }
  // Of residuals before they are quantized, where that makes codes better; else none.
  const Rotation& rotation() const { return rotation_; }
  uint64_t training_vectors() const { return training_vectors_; }
  // Of the codes of (a part of) the training sample.
  double mean_squared_error() const { return mean_squared_error_; }
  // Vectors of about one length vary the more around their centroid the shorter it is, and the
  // likelier one of them is near: lists are ranked by the Euclidean distance of their centroids
  // from the query at this length, a third more than that of vectors (for COSINE that is 1). 0
  // where vectors are of any length, and lists ranked by the metric itself.
  float query_length() const;
  // By the inner product, where vectors are of any length: of each list, how far they lie from the
  // centroid. The farther, the nearer one of them may be than the centroid is: lists are ranked by
  // what a query's product with the centroid would be with kRadiusWeight of the radius in the
  // query's direction. Else none.
  std::span<const float> radii() const { return radii_; }
  static constexpr float kRadiusWeight = 0.3f;  // README.md

  // What the rank of a list depends on besides the distance of its centroid: its radius; |c|^2 / 2,
  // from the origin of the user's vectors, where query_length() is not 0; none elsewhere.
  std::vector<float> RankTerms() const;
  // What these count for, beside |q - c|^2 or -<q, c>, in the rank of a list for a prepared query.
  float RankWeight(const float* query) const;
  // The prepared query at the length that lists are ranked by where there are rank terms:
  // query_length(), or 1 where there are radii. `out` has dimension() floats.
  void Lengthen(const float* query, float* out) const;
  // What added to the ranks of lists for a prepared query makes them squared distances, times what
  // is the same for all: |q - c|^2, where there are rank terms with |q| that of vectors, and less a
  // part of what |c|^2 is more than |q|^2. Not where there are radii.
  double RankShift(const float* query) const;
  // The same for |l - c|^2, l being the prepared query as Lengthen makes it, or itself where there
  // are no rank terms.
  double LengthenedShift(const float* query) const;
  const SearchNeeds& search_needs() const { return search_needs_; }
  // How many lists each query probes; empty where training has not measured it, or there are radii.
  const ProbeRule& probe_rule() const { return probe_rule_; }

  // Turns vectors or queries as a user gave them (dimension() columns) into what the centroids and
  // codewords were learnt from; `out` has as many floats and may be the same memory.
  void Prepare(MatrixView in, float* out) const;

  // Turns prepared queries into what lookup tables are made of: padded_dimension() floats each.
  void ForTable(MatrixView prepared, float* out) const;

  // lists[i] = the inverted list of prepared vector i. In the calling thread.
  void Assign(MatrixView prepared, uint32_t* lists) const;
  // Quantizes prepared vectors whose lists are known, in the calling thread. Replaces `out`.
  void EncodeAssigned(MatrixView prepared, const uint32_t* lists, EncodedVectors* out) const;

  // Assigns each vector to its nearest centroid and quantizes its residual. Appends to `out`.
  // Vectors must have dimension() columns and be finite.
  void Encode(MatrixView vectors, Executor& executor, EncodedVectors* out) const;

  // The vector that a code of inverted list `list` stands for; `out` has dimension() floats.
  // INVALID_ARGUMENT if the list does not exist.
  absl::Status Decode(uint32_t list, const uint8_t* code, float* out) const;
  // The same without centroid and origin.
  void DecodeResidual(const uint8_t* code, float* out) const;

 private:
  // Vectors encoded together by one thread.
  static constexpr size_t kEncodeBlock = 1024;

  Codebook(const CodebookSpec& spec, std::vector<float> origin, Matrix centroids,
           Executor& executor);

  static void PrepareRows(Metric metric, std::span<const float> origin, MatrixView in, float* out);
  // Prepared vectors less the centroids of their lists; `out` may be the same memory.
  void ToResiduals(MatrixView prepared, const uint32_t* lists, float* out) const;

  // What training tries several of.
  struct Codes {
    Rotation rotation;
    ProductQuantizer quantizer;
    double mean_squared_error = 0;
    uint32_t rerank = 0;
    EncodedVectors encoded;  // the residuals that it was trained on
  };
  Codes TakeCodes(const EncodedVectors& encoded);
  void PutBack(Codes codes, EncodedVectors* encoded);

  // Sets radii_ by the vectors of the training sample.
  void MeasureRadii(MatrixView prepared, Executor& executor);
  // Sets radii_ after the centroids of `lists` have moved, as WithCentroids does.
  void TakeRadii(const Codebook& before, std::span<const uint32_t> lists, MatrixView centroids);

  void SetQuantizer(Rotation rotation, ProductQuantizer quantizer);
  absl::Status TryQuantizer(MatrixView residuals, uint32_t subquantizers, Rotation rotation,
                            Executor& executor, ProgressObserver* observer,
                            EncodedVectors* encoded);
  absl::Status TrainQuantizer(MatrixView prepared, MatrixView queries, const CodeUse& use,
                              Executor& executor, ProgressObserver* observer);
  absl::Status ChooseSubquantizers(const SearchTrial& trial, MatrixView residuals,
                                   const CodeUse& use, Executor& executor,
                                   ProgressObserver* observer, EncodedVectors* encoded);
  absl::Status FitQuantizer(MatrixView residuals, uint32_t subquantizers, Executor& executor,
                            ProgressObserver* observer, EncodedVectors* encoded);

  double SquareLessOrigin(const float* query) const;

  // Both fill codes, biases and errors of out's rows from `first` on, whose lists are known.
  // `quantized` are the residuals after the rotation, or the same.
  void EncodeResiduals(MatrixView residuals, size_t first, EncodedVectors* out) const;
  void EncodeBlock(MatrixView residuals, MatrixView quantized, size_t first,
                   EncodedVectors* out) const;
  float LeftOut(std::span<const float> residual, std::span<const float> rotated,
                std::span<const float> decoded) const;

  CodebookSpec spec_;
  std::vector<float> origin_;  // what L2 vectors are moved by; zeros for other metrics
  Matrix centroids_;           // nlist x dimension
  Rotation rotation_;
  ProductQuantizer quantizer_;
  Matrix rotated_centroids_;  // for L2, if there is a rotation
  GroupedCentroids nearest_;  // over centroids_
  uint64_t training_vectors_ = 0;
  double mean_squared_error_ = 0;
  float vector_length_ = 0;  // unless the metric is COSINE, if that of vectors hardly differs
  std::vector<float> radii_;
  SearchNeeds search_needs_;
  ProbeRule probe_rule_;
};

}  // namespace tessera

#endif  // TESSERA_INDEX_CODEBOOK_CODEBOOK_H_
