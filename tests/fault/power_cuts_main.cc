// Writes at random to the collection in the data directory argv[1] until the power is cut. For the
// power cut test.
//
//   power_cuts DATA_DIR power|power-part OPERATION SEED
//
// In between it trains, makes snapshots and restores them under another name. Before and after each
// write goes to standard output, in 8 bytes, how many writes have been begun (the lower half) and
// how many of them are durable for certain: those up to the last that was acknowledged as synced
// (the upper half). Exit codes: kPowerCutExitCode, or 0 if the power lasted, or 2.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "server/storage/rocksdb_store_env.h"
#include "tests/fault/random_writes.h"
#include "tests/server/storage/faulty_env.h"

namespace tessera {
namespace {

constexpr uint64_t kWritesMost = 400;
constexpr char kCopy[] = "copy";

bool Report(uint64_t begun, uint64_t durable) {
  const uint64_t number = durable << 32 | begun;
  return write(STDOUT_FILENO, &number, sizeof(number)) == sizeof(number);
}

void AwaitEnd(Engine& engine, absl::StatusOr<OperationInfo> operation) {
  while (operation.ok() && operation->state == OperationState::kRunning) {
    operation = engine.AwaitOperation(operation->id, operation->revision, absl::Seconds(1));
  }
}

// Trains; of the codebooks before only the last is kept.
void Train(Engine& engine, uint32_t nlist) {
  const auto kept = engine.ListCodebooks(RandomWrites::kCollection);
  if (!kept.ok()) return;
  for (const CodebookInfo& info : *kept) {
    if (!info.current) engine.DeleteCodebook(RandomWrites::kCollection, info.version).IgnoreError();
  }
  AwaitEnd(engine, engine.Train({.collection = RandomWrites::kCollection, .nlist = nlist}));
}

// What is no write of a point, and may fail: too few points to train, no snapshot to restore, an
// index that is there.
void WorkBetween(Engine& engine, uint64_t choice) {
  const auto snapshots = engine.snapshots().List("", 10);
  const bool has_snapshot = snapshots.ok() && !snapshots->empty();
  switch (choice % 25) {
    case 0:
    case 1:
      return Train(engine, static_cast<uint32_t>(2 + choice / 25 % 9));
    case 2:
      return AwaitEnd(engine, engine.snapshots().Create(RandomWrites::kCollection));
    case 3:
      if (has_snapshot) engine.snapshots().Delete((*snapshots)[0].id).IgnoreError();
      return;
    case 4:
      if (!has_snapshot) return;
      return AwaitEnd(
          engine, engine.snapshots().Restore(
                      {.snapshot_id = (*snapshots)[0].id, .collection = kCopy, .replace = true}));
    case 5:
    case 6:
      return AwaitEnd(engine,
                      engine.CreatePayloadIndex(
                          RandomWrites::kCollection,
                          {FieldPath("n"), choice / 25 % 2 == 0 ? PayloadIndexType::kInteger
                                                                : PayloadIndexType::kFloat}));
    case 7:
      return engine.DropPayloadIndex(RandomWrites::kCollection, "n").IgnoreError();
    default:
      return;
  }
}

absl::Status Live(Engine& engine, uint64_t seed) {
  RandomWrites writes(seed);
  std::mt19937_64 between(~seed);
  uint64_t durable = 0;
  for (uint64_t begun = 1; begun <= kWritesMost; ++begun) {
    const RandomWrites::Write write = writes.Next();
    if (!Report(begun, durable)) return absl::InternalError("no standard output");
    const absl::Status status = RandomWrites::Apply(engine, write).status();
    if (!status.ok()) return status;
    // The sync of one write covers those before it.
    if (write.durability == Durability::kSync) durable = begun;
    if (!Report(begun, durable)) return absl::InternalError("no standard output");
    WorkBetween(engine, between());
  }
  return engine.Close();
}

int Run(const std::string& data_dir, Fault fault, uint64_t operation, uint64_t seed) {
  FaultState state(fault, operation);
  const auto env = MakeFaultyEnv(state);
  // Small memtables, so that flushes and new logs take their share of the cuts.
  auto store = OpenRocksDbStoreOn({.path = data_dir + "/store",
                                   .write_buffer_bytes = size_t{16} << 10,
                                   .free_disk_bytes_min = 0},
                                  env.get());
  absl::Status status = store.status();
  if (status.ok()) {
    InlineExecutor executor;
    EngineOptions options;
    options.snapshot_path = data_dir + "/snapshots";
    options.row_path = data_dir + "/rows";
    options.deletion_step_points = RandomWrites::kDeletionStep;
    const auto engine = Engine::Open(*std::move(store), executor, options);
    status = engine.ok() ? Live(**engine, seed) : engine.status();
  }
  if (!status.ok()) std::cerr << status << std::endl;
  return status.ok() ? 0 : 2;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  return tessera::Run(argv[1], tessera::ParseFault(argv[2]), std::strtoull(argv[3], nullptr, 10),
                      std::strtoull(argv[4], nullptr, 10));
}
