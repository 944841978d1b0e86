#ifndef TESSERA_TESTS_BENCH_CONTENDER_H_
#define TESSERA_TESTS_BENCH_CONTENDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "index/base/matrix.h"
#include "tests/bench/dataset.h"

namespace tessera::bench {

// An index to be measured. Searches run in the calling thread.
class Contender {
 public:
  virtual ~Contender() = default;

  virtual std::string name() const = 0;
  // Settings of the search, from fast to thorough.
  virtual std::vector<std::string> settings() const = 0;
  // The 10 nearest of each query under settings()[setting]: found[i * 10 + j].
  virtual void Search(size_t setting, MatrixView queries, uint32_t* found) = 0;
  // Everything that a search reads, over the number of vectors.
  virtual double bytes_per_point() const = 0;

  // Seconds that building took, 0 if the index came from a cache.
  double build_seconds = 0;
};

struct TesseraOptions {
  uint32_t nlist = 1024;
  uint32_t subquantizers = 64;
  uint32_t nbits = 4;
  std::vector<size_t> rerank = {100};
  std::vector<size_t> nprobe;  // empty: a range that suits nlist
  // Compare candidates by 8 bits a component first; full vectors then count as on disk.
  bool scalar = false;
  std::string cache_folder;  // where trained indexes are kept from run to run; empty: nowhere
};

std::unique_ptr<Contender> MakeTessera(const Dataset& data, const TesseraOptions& options);
// Peers return null where their packages were not installed when this was built.
std::unique_ptr<Contender> MakeHnswlib(const Dataset& data, size_t m, const std::string& cache);
std::unique_ptr<Contender> MakeFaiss(const Dataset& data, const std::string& factory,
                                     size_t refine_factor);

}  // namespace tessera::bench

#endif  // TESSERA_TESTS_BENCH_CONTENDER_H_
