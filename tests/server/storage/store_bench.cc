// What the store costs: `store_bench DIRECTORY [BVECS-FILE]`. Loads the vectors of the file (or
// random bytes) as points of the server would be, and prints rates. DIRECTORY must not exist.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "server/engine/record_keys.h"
#include "server/engine/records.h"
#include "server/storage/rocksdb_store.h"
#include "tests/thread_time.h"

namespace tessera {
namespace {

constexpr uint32_t kCollection = 1;
constexpr size_t kVectorBytes = 128;
constexpr size_t kCodeBytes = 32;
constexpr size_t kPoints = 1'000'000;
constexpr size_t kBatchPoints = 1'000;

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of this thread alone: comparable on a busy machine.
double CpuSeconds(const std::function<void()>& work) {
  const double start = ThreadSeconds();
  work();
  return ThreadSeconds() - start;
}

template <class StatusType>
void Check(const StatusType& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "failed\n");
  std::exit(1);
}

double ResidentMiB() {
  std::ifstream file("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

std::string ReadVectors(const char* path) {
  std::string vectors(kPoints * kVectorBytes, '\0');
  std::mt19937_64 random(1);
  std::ifstream file(path == nullptr ? "" : path, std::ios::binary);
  for (size_t i = 0; i < kPoints; ++i) {
    char header[4];
    if (!file.read(header, 4) || !file.read(&vectors[i * kVectorBytes], kVectorBytes)) {
      for (size_t j = 0; j < kVectorBytes; ++j) {
        vectors[i * kVectorBytes + j] = static_cast<char>(random());
      }
    }
  }
  return vectors;
}

void SyncLatency(Store& store) {
  std::vector<double> times;
  for (int i = 0; i < 500; ++i) {
    auto batch = store.NewBatch();
    batch->Put(Family::kMeta, "bench " + std::to_string(i), std::string(200, 'x'));
    times.push_back(Seconds([&] { Check(store.Commit(*batch, Durability::kSync)); }));
  }
  std::sort(times.begin(), times.end());
  std::printf("commit with sync: median %.0f us, p99 %.0f us\n", times[250] * 1e6,
              times[495] * 1e6);
}

void Load(Store& store, const std::string& vectors) {
  std::string id_key;
  std::string key;
  std::string value;
  const std::string_view all = vectors;
  const double seconds = Seconds([&] {
    for (size_t begin = 0; begin < kPoints; begin += kBatchPoints) {
      auto batch = store.NewBatch();
      for (size_t i = begin; i < begin + kBatchPoints; ++i) {
        const auto slot = static_cast<Slot>(i);
        id_key.clear();
        AppendIdKeyView(kCollection, uint64_t{i}, &id_key);
        EncodeSlot(id_key, slot, &value);
        batch->Put(Family::kIds, id_key, value);
        key.clear();
        AppendPointKey(kCollection, slot, &key);
        const auto vector = all.substr(i * kVectorBytes, kVectorBytes);
        EncodePoint(key, {.id = uint64_t{i}, .vector = vector, .payload = ""}, &value);
        batch->Put(Family::kPoints, key, value);
        key.clear();
        AppendCodeKey({kCollection, 1, static_cast<uint32_t>(i * 2654435761u % 1024), slot}, &key);
        EncodeCode(key,
                   {.id = uint64_t{i},
                    .code = vector.substr(kVectorBytes - kCodeBytes),
                    .bias = static_cast<float>(i),
                    .error = 1.0f / static_cast<float>(i + 1)},
                   &value);
        batch->Put(Family::kCodes, key, value);
      }
      Check(store.Commit(*batch, Durability::kSync));
    }
  });
  std::printf("load, id + point + code, a sync per %zu: %.0f points/s\n", kBatchPoints,
              kPoints / seconds);
}

void PrintUsage(Store& store, const char* when) {
  const StoreUsage usage = store.Usage();
  std::printf("%s: disk %.1f MiB, store memory %.1f MiB, resident %.1f MiB\n", when,
              static_cast<double>(usage.disk_bytes) / (1 << 20),
              static_cast<double>(usage.memory_bytes) / (1 << 20), ResidentMiB());
  const std::pair<Family, const char*> families[] = {
      {Family::kIds, "ids"}, {Family::kPoints, "points"}, {Family::kCodes, "codes"}};
  const KeyRange range = CollectionRange(kCollection);
  for (const auto& [family, name] : families) {
    std::printf(
        "  %s %.1f MiB\n", name,
        static_cast<double>(store.ApproximateBytes(family, range.begin, range.end)) / (1 << 20));
  }
}

void Walk(Store& store, Family family, const char* name) {
  const KeyRange range = CollectionRange(kCollection);
  size_t count = 0;
  const double seconds = CpuSeconds([&] {
    auto iterator = store.Scan(family, range.begin, range.end, /*bulk=*/true);
    CodeRecordView code;
    PointRecordView point;
    for (; iterator->Valid(); iterator->Next(), ++count) {
      if (family == Family::kCodes) {
        Check(DecodeCode(iterator->key(), iterator->value(), &code));
      } else {
        Check(DecodePoint(iterator->key(), iterator->value(), &point));
      }
    }
    Check(iterator->status());
  });
  std::printf("walk and decode %zu %s: %.2f s of CPU, %.1f M/s\n", count, name, seconds,
              static_cast<double>(count) / seconds / 1e6);
}

void Gets(Store& store, const char* name, Family family, size_t per_call, size_t calls,
          const std::function<std::string(uint64_t)>& key_of) {
  std::mt19937_64 random(7);
  std::vector<std::string> keys(per_call);
  std::vector<std::optional<std::string>> values;
  size_t found = 0;
  double seconds = 0;
  for (size_t call = 0; call < calls; ++call) {
    for (std::string& key : keys) key = key_of(random());
    seconds += CpuSeconds([&] { Check(store.MultiGet(family, keys, &values)); });
    for (const auto& value : values) found += value.has_value();
  }
  std::printf("MultiGet of %zu %s: %.2f us of CPU a key (%zu found)\n", per_call, name,
              seconds / static_cast<double>(calls * per_call) * 1e6, found);
}

void Run(const std::string& path, const char* file) {
  const RocksDbOptions options{.path = path};
  {
    auto store = OpenRocksDbStore(options);
    Check(store);
    SyncLatency(**store);
    Load(**store, ReadVectors(file));
    PrintUsage(**store, "after the load");
    std::printf("close: %.2f s\n", Seconds([&] { Check((*store)->Close()); }));
  }
  absl::StatusOr<std::unique_ptr<Store>> store;
  std::printf("open: %.3f s\n", Seconds([&] { store = OpenRocksDbStore(options); }));
  Check(store);
  PrintUsage(**store, "reopened");
  Walk(**store, Family::kCodes, "codes");
  Walk(**store, Family::kPoints, "points");
  const auto point = [](uint64_t r) { return PointKey(kCollection, r % kPoints); };
  const auto hot = [](uint64_t r) { return PointKey(kCollection, r % 50'000); };
  const auto present = [](uint64_t r) { return IdKey(kCollection, r % kPoints); };
  const auto absent = [](uint64_t r) { return IdKey(kCollection, kPoints + r); };
  const auto next = [](uint64_t r) { return IdKey(kCollection, kPoints + r % kPoints); };
  Gets(**store, "points, all", Family::kPoints, 100, 2'000, point);
  Gets(**store, "points, hot", Family::kPoints, 100, 2'000, hot);
  Gets(**store, "points, hot again", Family::kPoints, 100, 2'000, hot);
  Gets(**store, "ids", Family::kIds, 1'000, 200, present);
  Gets(**store, "ids, absent, far", Family::kIds, 1'000, 200, absent);
  Gets(**store, "ids, absent, next", Family::kIds, 1'000, 200, next);
  PrintUsage(**store, "at the end");
  Check((*store)->Close());
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc < 2 || std::filesystem::exists(argv[1])) {
    std::fprintf(stderr, "usage: store_bench DIRECTORY-TO-MAKE [BVECS-FILE]\n");
    return 2;
  }
  tessera::Run(argv[1], argc > 2 ? argv[2] : nullptr);
  return 0;
}
