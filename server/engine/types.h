#ifndef TESSERA_SERVER_ENGINE_TYPES_H_
#define TESSERA_SERVER_ENGINE_TYPES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "index/base/matrix.h"
#include "index/base/types.h"
#include "server/filter/field_column.h"
#include "server/filter/filter.h"
#include "server/filter/payload_edit.h"
#include "server/storage/store.h"

namespace tessera {

// A point's name: a number or a string of 1 to 256 bytes. Numbers sort before strings.
using PointId = std::variant<uint64_t, std::string>;

class AnswerRoom;

// The values are stored on disk: never renumber.
enum class VectorPlacement : uint8_t {
  kMemory = 1,
  kDisk = 2,
  kDiskSq8 = 3,  // and scalar codes of 8 bits a component in memory
};

// How a collection is indexed. 0 means "let the server choose", as tessera.v1.IndexSpec says.
struct IndexConfig {
  uint32_t nlist = 0;
  uint32_t subquantizers = 0;
  uint32_t nbits = 0;
  VectorPlacement vectors = VectorPlacement::kMemory;
  uint64_t seed = 0;
  uint32_t iterations = 0;
  uint32_t training_vectors_per_list = 0;
  uint32_t default_nprobe = 0;
  uint32_t default_rerank = 0;
};

struct CollectionSpec {
  std::string name;
  uint32_t dimension = 0;
  Metric metric = Metric::kCosine;
  ElementType element_type = ElementType::kFloat32;
  IndexConfig index;
  Durability durability = Durability::kSync;  // of writes that name none
  std::string metadata;                       // a JSON object, or ""
};

// What can change of a collection, beside its points.
struct CollectionSettings {
  IndexConfig index;  // as it was asked for: training fills in what is 0 for itself
  Durability durability = Durability::kSync;
  std::string metadata;
  uint64_t revision = 0;  // grows by one with each change
};

// Changes settings as they are at one moment; the revision is not its concern. An error ends the
// change, and nothing has happened.
using SettingsEdit = std::function<absl::Status(CollectionSettings*)>;

// Makes `alias` a name of `collection`, of whatever it was one before; "" deletes the alias.
struct AliasAction {
  std::string alias;
  std::string collection;
};

struct PayloadIndexInfo {
  PayloadIndexSpec spec;
  bool ready = false;   // else it is being built, and filters read payloads
  uint64_t points = 0;  // that have a value at the key
  uint64_t memory_bytes = 0;
};

// What searches of a collection were measured to find.
struct CalibrationInfo {
  // For 10 neighbours.
  struct Depth {
    double recall = 0;
    uint32_t nprobe = 0;
    uint32_t rerank = 0;
  };
  uint32_t codebook_version = 0;
  int64_t create_time_ms = 0;  // since the epoch
  uint64_t points = 0;         // that were searched
  uint32_t queries = 0;
  bool stored_queries = false;  // the queries were points of the collection
  std::vector<Depth> depths;    // by recall; without those that were not reached
};

// What a sample of the searches of late has found, checked against exact ones.
struct VerifiedRecallInfo {
  uint32_t searches = 0;
  double recall = 0;          // their mean
  double standard_error = 0;  // on the safe side while they are few
};

enum class CollectionState { kUntrained, kTraining, kReady };

struct CollectionInfo {
  CollectionSpec spec;    // defaults filled in
  uint64_t revision = 0;  // of its settings
  CollectionState state = CollectionState::kUntrained;
  uint64_t points = 0;
  uint64_t memory_bytes = 0;
  uint64_t disk_bytes = 0;
  uint32_t codebook_version = 0;
  uint64_t sequence = 0;
  int64_t create_time_ms = 0;                     // since the epoch
  std::vector<PayloadIndexInfo> payload_indexes;  // by key
  std::optional<CalibrationInfo> calibration;     // of the codebook in use
  std::optional<VerifiedRecallInfo> verified;     // of it, too; none where no search was verified
};

// What must be so of every point of an upsert, or nothing is written.
enum class WriteCondition {
  kNone,
  kInsertOnly,  // it is not there: ALREADY_EXISTS
  kUpdateOnly,  // it is there: NOT_FOUND
};

// How a write is to be done.
struct WriteOptions {
  std::optional<Durability> durability;  // nullopt: the collection's
  // Not empty: the write has the effect of once, however often it is sent with this id; it is
  // remembered until kRequestIdsKeptMax others have come to the collection.
  std::string request_id;
  // A checksum of what is asked for, which tells a repeated request from another one with its id:
  // of edits and writes by filter, which cannot be told by what they write.
  std::optional<uint32_t> fingerprint;
};

// Columns: the i-th id has the i-th vector and payload. Views: the caller keeps the bytes alive.
struct UpsertBatch {
  std::vector<PointId> ids;
  VectorsView vectors;                // of any element type
  std::vector<std::string> payloads;  // JSON objects or ""; one per id, or none at all
  WriteCondition condition = WriteCondition::kNone;
  WriteOptions options;
};

struct WriteResult {
  uint64_t points = 0;
  uint64_t sequence = 0;
};

struct PointData {
  PointId id;
  std::string vector;   // of the collection's element type, if asked for
  std::string payload;  // JSON, if asked for
};

// Changes the payload or the vector of a point (of the collection's element type) that is the i-th
// of a request. An error ends the write.
using PointEdit = std::function<absl::Status(size_t i, PointData* point)>;

// What to read of each point.
struct PointFields {
  PayloadSelection payload;
  bool vector = false;
  // Of an answer that several searches have together; outlives them. Null: each has its own.
  AnswerRoom* room = nullptr;
};

// An order of points: by the values of a field that has a payload index, and by id where they are
// the same. A point comes by its first value in the order.
struct ScrollOrder {
  FieldPath key;
  bool descending = false;
  // The first value that may come, of a type that suits the index; nothing: from the start.
  std::variant<std::monostate, int64_t, double, std::string> start_from;
};

// How many points match: counted, or else about how many, and what is certain of it.
struct PointsCount {
  uint64_t points = 0;
  bool exact = false;
  uint64_t points_min = 0;
  uint64_t points_max = 0;
};

struct ListFill {
  uint32_t list = 0;
  uint64_t points = 0;
  uint64_t dead_entries = 0;  // of points that are gone, until the list is compacted
};

// How full the inverted lists are.
struct ListStatistics {
  uint32_t codebook_version = 0;
  uint32_t nlist = 0;
  uint64_t points = 0, dead_entries = 0;
  uint64_t points_min = 0, points_median = 0, points_max = 0;  // of a list
  uint32_t empty_lists = 0;
  double imbalance = 1;         // nlist x the sum of squared sizes / the square of their sum
  std::vector<ListFill> lists;  // of one page, by number
  std::string next_page_token;  // empty: that was all
};

struct ScrollPage {
  std::vector<PointData> points;
  std::string next_page_token;  // empty: that was all
};

struct SearchRequest {
  std::string collection;
  // Either query vectors of any element type, or the ids of stored points.
  VectorsView vectors;
  std::vector<PointId> ids;
  // Or, for one query, stored points to be near to and others to be far from.
  std::vector<PointId> positive, negative;
  size_t limit = 10;
  size_t offset = 0;
  std::optional<float> score_threshold;  // hits are at least as near
  uint32_t nprobe = 0;                   // 0: the collection's default
  uint32_t rerank = 0;                   // 0: the collection's default
  bool exact = false;
  bool no_rerank = false;
  // The share of the neighbours to be found, in place of the four above.
  std::optional<double> target_recall;
  PointFields fields;
  Filter filter;  // empty: every point
  bool explain = false;
  bool with_bounds = false;
  bool may_wait = true;  // false: as SearchPace::kQuickIfCached says
  bool alone = false;    // in the thread that calls, without the help of others
  // Null, or true once nobody waits for the answer: a search that begins then is CANCELLED.
  const std::atomic<bool>* cancelled = nullptr;
};

// How long a search keeps the thread that runs it.
enum class SearchPace {
  kQuick,  // well below a millisecond, and it waits for nothing
  // The same if the vectors that it reads are in the page cache. If they are not, and it may not
  // wait, it fails with a status that MustWait() knows.
  kQuickIfCached,
  kSlow,
};

// The exact score is not outside of them.
struct ScoreBounds {
  float lower = 0;
  float upper = 0;
};

struct Hit {
  PointId id;
  Slot slot = kInvalidSlot;  // where the point was when it was found
  float score = 0;           // squared distance for L2; the product or cosine else
  bool score_is_exact = true;
  bool certain_by_code = false;       // of a range search: its code told that it is a hit
  std::optional<ScoreBounds> bounds;  // if they were asked for
  std::string payload;
  std::string vector;
};

enum class SearchPlan {
  kExact,          // every vector
  kLists,          // inverted lists
  kExactMatching,  // every vector that matches the filter
  kMaskedLists,    // inverted lists, of which only what matches counts
};

// How a search was done; numbers are of all its queries together.
struct SearchReport {
  SearchPlan plan = SearchPlan::kExact;
  uint64_t lists_scanned = 0;
  uint64_t codes_scanned = 0;
  uint64_t candidates_refined = 0;        // compared by scalar codes
  uint64_t candidates_reranked = 0;       // or compared exactly
  std::optional<double> expected_recall;  // as calibrated; none where that tells nothing
  bool exhausted = false;  // nothing was left to search: what is not here does not match
  // Of a filter.
  double selectivity = 1;              // the share of the points that match
  uint64_t matching = 0;               // points, or about how many
  uint64_t payloads_read = 0;          // because no index could tell
  std::vector<std::string> unindexed;  // keys for which payloads had to be read
  // If an explanation was asked for.
  bool explained = false;
  uint64_t filter_us = 0, search_us = 0, fetch_us = 0;
  uint64_t table_ns = 0, rerank_us = 0;  // of the search, where lists are scanned
  uint32_t nprobe = 0, rerank = 0;       // asked for or chosen, where lists are scanned
  uint64_t bytes_read = 0;
};

struct SearchResult {
  std::vector<std::vector<Hit>> hits;                // one row per query, nearest first, ties by id
  ElementType element_type = ElementType::kFloat32;  // of the hits' vectors
  SearchReport report;
};

struct RangeRequest {
  std::string collection;
  // Either one query vector of any element type, or a stored point, which is not among the hits.
  VectorsView vector;
  std::optional<PointId> id;
  float radius = 0;  // a score: hits are at least as near
  size_t page_size = 100;
  std::string page_token;
  PointFields fields;
  Filter filter;  // empty: every point
  bool explain = false;
};

struct RangeResult {
  std::vector<Hit> hits;        // nearest first, ties by id; their scores are exact
  std::string next_page_token;  // empty: that was all
  ElementType element_type = ElementType::kFloat32;  // of the hits' vectors
  SearchReport report;                               // of this page
};

using FacetValue = std::variant<bool, int64_t, std::string>;

struct FacetRequest {
  std::string collection;
  FieldPath key;
  Filter filter;
  size_t limit = 100;      // values of a page
  std::string page_token;  // from the page before, of the same key and filter
};
struct FacetCount {
  FacetValue value;
  uint64_t points = 0;

  friend bool operator==(const FacetCount&, const FacetCount&) = default;
};
struct FacetResult {
  std::vector<FacetCount> counts;  // the most frequent first, ties by value
  bool indexed = false;
  std::string next_page_token;  // empty: that was all
};

struct GroupsRequest {
  SearchRequest search;  // one query; its limit is the number of groups
  FieldPath group_by;
  size_t group_size = 1;
};
struct HitGroup {
  FacetValue value;
  std::vector<Hit> hits;
};
struct GroupsResult {
  std::vector<HitGroup> groups;  // the one with the nearest hit first
  SearchReport report;           // of all searches that it took, the filter's part of the first
  ElementType element_type = ElementType::kFloat32;
};

struct CodebookInfo {
  std::string collection;
  uint32_t version = 0;
  bool current = false;
  uint32_t dimension = 0;
  Metric metric = Metric::kCosine;
  uint32_t nlist = 0;
  uint32_t subquantizers = 0;
  uint32_t nbits = 0;
  uint32_t code_bytes = 0;
  std::string content_hash;
  uint64_t size_bytes = 0;
  uint64_t training_vectors = 0;
  double mean_squared_error = 0;
  int64_t create_time_ms = 0;
};

struct CodeRows {
  uint32_t codebook_version = 0;  // of a request: 0 is the current one
  std::vector<uint32_t> lists;
  std::string codes;          // code_bytes a row
  std::vector<float> errors;  // of Encode's answer
};

struct CalibrateRequest {
  std::string collection;
  VectorsView queries;  // of any element type; none: points of the collection
};

struct TrainRequest {
  std::string collection;
  uint32_t nlist = 0;
  uint64_t seed = 0;
};

enum class OperationState { kRunning, kSucceeded, kFailed, kCancelled };

struct OperationInfo {
  std::string id;
  uint64_t number = 0;  // a later one has a larger number
  std::string kind;     // "train", "import_codebook", "create_snapshot", "restore_snapshot", ...
  std::string collection;
  OperationState state = OperationState::kRunning;
  std::string phase;
  uint64_t done = 0;
  uint64_t total = 0;
  absl::Status error;  // if kFailed
  int64_t start_time_ms = 0;
  int64_t end_time_ms = 0;
  uint32_t codebook_version = 0;
  std::string snapshot_id;  // that it makes or reads
  uint64_t revision = 0;    // grows with every change
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_TYPES_H_
