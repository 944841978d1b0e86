// Runs a fuzz target over a corpus without libFuzzer: each file of the directories given, every
// truncation of it, and it with each of its bytes changed.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// Beyond these the positions are sampled, so that a large input does not take minutes.
constexpr size_t kTruncationsTried = 4096;
constexpr size_t kChangesTried = 1024;

// A copy of exactly its size on the heap: a sanitizer then sees any read beyond the end.
void RunOne(const std::string& bytes) {
  const std::string exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(exact.data()), exact.size());
}

size_t Stride(size_t size, size_t count_max) { return size / count_max + 1; }

size_t RunVariants(const std::string& bytes) {
  size_t runs = 1;
  RunOne(bytes);
  for (size_t size = 0; size < bytes.size(); size += Stride(bytes.size(), kTruncationsTried)) {
    RunOne(bytes.substr(0, size));
    ++runs;
  }
  for (size_t i = 0; i < bytes.size(); i += Stride(bytes.size(), kChangesTried)) {
    for (const unsigned char mask : {0x01, 0x80, 0xFF}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ mask);
      RunOne(changed);
      ++runs;
    }
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  size_t files = 0, runs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(in), {}};
      // The name first, so that the output of a crash says which input it was.
      std::printf("%s: %zu bytes\n", entry.path().filename().c_str(), bytes.size());
      std::fflush(stdout);
      runs += RunVariants(bytes);
      ++files;
    }
  }
  std::printf("%zu files, %zu inputs\n", files, runs);
  if (files == 0) {
    std::fprintf(stderr, "no inputs: the corpus is missing\n");
    return 1;
  }
  return 0;
}
