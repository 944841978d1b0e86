// Measures the search of index/ivf, and of peers, on one data set: recall@10 against queries per
// second of one thread's CPU time, bytes a point and build time. README.md has the commands.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/bench/contender.h"
#include "tests/bench/measure.h"

namespace tessera::bench {
namespace {

struct Flags {
  std::string data;
  std::vector<uint32_t> nlist = {1024};
  uint32_t m = 64;
  uint32_t nbits = 4;
  std::vector<size_t> nprobe;
  std::vector<size_t> rerank = {100};
  bool scalar = false;
  size_t queries = 2000;
  size_t rounds = 3;
  size_t hnsw_m = 0;
  std::vector<std::string> faiss;
  std::vector<size_t> faiss_refine = {10};
  std::string cache;
  std::string plot;
};

int Run(const Flags& flags) {
  auto data = LoadDataset(flags.data, flags.queries);
  if (!data.ok()) {
    std::fprintf(stderr, "tessera_bench: %s\n", data.status().ToString().c_str());
    return 1;
  }
  std::vector<std::unique_ptr<Contender>> contenders;
  const auto add = [&](std::unique_ptr<Contender> contender) {
    if (contender == nullptr) {
      std::printf("a peer was left out: its package was not there when this was built\n");
      return;
    }
    std::printf("%s: %.1f bytes a point, built in %.1f s%s\n", contender->name().c_str(),
                contender->bytes_per_point(), contender->build_seconds,
                contender->build_seconds == 0 ? " (from the cache)" : "");
    std::fflush(stdout);
    contenders.push_back(std::move(contender));
  };
  for (uint32_t nlist : flags.nlist) {
    TesseraOptions options;
    options.nlist = nlist;
    options.subquantizers = flags.m;
    options.nbits = flags.nbits;
    options.nprobe = flags.nprobe;
    options.rerank = flags.rerank;
    options.cache_folder = flags.cache;
    add(MakeTessera(*data, options));
    options.scalar = true;
    if (flags.scalar) add(MakeTessera(*data, options));
  }
  if (flags.hnsw_m > 0) add(MakeHnswlib(*data, flags.hnsw_m, flags.cache));
  for (const std::string& factory : flags.faiss) {
    for (size_t refine : flags.faiss_refine) add(MakeFaiss(*data, factory, refine));
  }
  const std::vector<Series> all = Measure(*data, contenders, flags.rounds);
  PrintPoints(all);
  PrintAtEqualRecall(all);
  if (!flags.plot.empty()) {
    std::ofstream(flags.plot) << PlotSvg(all, 0, data->name + ", one query at a time");
  }
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  tessera::bench::Flags flags;
  CLI::App app("Recall against speed of Tessera's index and of its peers, on one thread.");
  app.add_option("data", flags.data, "Folder with base, queries and ground truth")->required();
  app.add_option("--nlist", flags.nlist, "Numbers of inverted lists, one index each");
  app.add_option("--m", flags.m, "Subquantizers; 0: as a server chooses them");
  app.add_option("--nbits", flags.nbits, "Bits per subquantizer, 4 or 8");
  app.add_option("--nprobe", flags.nprobe, "Lists searched; a range by default");
  app.add_option("--rerank", flags.rerank, "Candidates compared exactly");
  app.add_flag("--scalar", flags.scalar, "Measure each index with scalar codes, too");
  app.add_option("--queries", flags.queries, "Queries used, from the first");
  app.add_option("--rounds", flags.rounds, "Rounds; the best of each setting counts");
  app.add_option("--hnsw", flags.hnsw_m, "Measure hnswlib with this M");
  app.add_option("--faiss", flags.faiss, "Measure faiss with these factory strings");
  app.add_option("--faiss-refine", flags.faiss_refine, "Its candidates, as multiples of k");
  app.add_option("--cache", flags.cache, "Folder that keeps trained indexes between runs");
  app.add_option("--plot", flags.plot, "Write a plot (SVG) here");
  CLI11_PARSE(app, argc, argv);
  return tessera::bench::Run(flags);
}
