#ifndef TESSERA_TESTS_CRASH_CRASH_WRITER_H_
#define TESSERA_TESTS_CRASH_CRASH_WRITER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/cpp/client.h"

namespace tessera {

// The points of one writer: the number of a point's version, by the point's number. What a point
// holds follows from both (PointVector, PointPayload), so nothing else has to be remembered.
using PointVersions = std::map<uint64_t, uint64_t>;

// A client that writes until the server dies, and knows what the server has told it.
//
// It owns its points: no other writer touches them. Upserts of new and known points, single or
// over a stream with several chunks in flight, mix with deletes. As the server handles one
// writer's requests in their order, what is on disk after a crash must be what was acknowledged
// plus the first few, possibly none, of the requests in flight, each of them whole.
//
// Half of the requests have an id. Those of them that were in flight at the crash are sent again by
// the next run: what was lost is written then, what was kept must not be written a second time,
// even where its points have changed since.
//
// Run() on one thread; the rest before or after it.
class CrashWriter {
 public:
  static constexpr size_t kDimension = 24;
  static constexpr uint64_t kPoints = 3'000;  // numbers below it are used

  CrashWriter(int index, std::string collection, uint64_t seed)
      : index_(index), collection_(std::move(collection)), random_(seed) {}

  // Writes until a call fails. `acknowledged` counts requests of all writers as they are answered.
  void Run(Client& client, std::atomic<size_t>& acknowledged);

  // What it writes from now on gathers in one place, where it has written nothing before. Before or
  // after a run.
  void MoveOn() { moves_.push_back(next_version_); }
  // Has the next run begin with many points, and then delete most of them by a filter. Before or
  // after a run.
  void DeleteManySoon() { delete_many_ = true; }
  // How often it has sent such a deletion, and had an answer.
  size_t large_deletions() const { return large_deletions_; }
  size_t large_deletions_answered() const { return large_deletions_answered_; }
  // Whether it only writes, over streams: as much as it can. Before or after a run.
  void SetOnlyStreams(bool only_streams) { only_streams_ = only_streams; }

  // Odd writers name their points by strings.
  v1::PointId Id(uint64_t point) const;
  std::vector<float> PointVector(uint64_t point, uint64_t version) const;
  // Empty for some points.
  std::string PointPayload(uint64_t point, uint64_t version) const;

  // Compares what a restarted server holds with what may be there, and takes it over as the state
  // that the next run begins with. `stored` has the points by IdText; those of this writer are
  // taken out of it. Says which point is wrong.
  absl::Status Reconcile(std::map<std::string, v1::Point>& stored);

  // The state that the last Reconcile found.
  const PointVersions& points() const { return state_; }
  // Takes over another state as what is stored: the collection was restored from a snapshot. Before
  // or after a run.
  void SetPoints(PointVersions points);
  // OK if the points of this writer among `stored` are exactly `expected`; they are taken out of
  // it.
  absl::Status TakeAndCompare(const PointVersions& expected,
                              std::map<std::string, v1::Point>& stored) const;

  size_t requests_acknowledged() const { return requests_acknowledged_; }
  size_t requests_lost() const { return requests_lost_; }  // in flight at a crash, and not applied
  size_t requests_kept() const { return requests_kept_; }  // in flight at a crash, but applied
  // Of both, those that were sent again.
  size_t lost_repeated() const { return lost_repeated_; }
  size_t kept_repeated() const { return kept_repeated_; }
  absl::Status last_error() const { return last_error_; }

 private:
  // Version 0 deletes.
  using Change = PointVersions;
  // One request: all upserts, or all deletes.
  struct Request {
    Change change;
    std::string id;          // "": it has none
    bool by_filter = false;  // deletes all points of the writer that have a payload
  };

  Request MakeRequest(Change change);
  Change MakeUpsertChange(size_t points_max);
  Change MakeDeleteChange();
  v1::UpsertRequest ToUpsert(const Request& request) const;
  v1::DeletePointsRequest ToDelete(const Request& request) const;
  static void Apply(const Change& change, PointVersions& state);
  void Acknowledge(size_t requests, std::atomic<size_t>& acknowledged);

  Change MatchingFilter() const;
  v1::DeleteByFilterRequest ToDeleteByFilter(const Request& request) const;
  absl::StatusOr<uint64_t> SendDelete(Client& client, const Request& request) const;
  absl::Status DeleteMany(Client& client, std::atomic<size_t>& acknowledged);
  absl::Status WriteStream(Client& client, std::atomic<size_t>& acknowledged);
  absl::Status Send(Client& client, const Request& request, std::atomic<size_t>& acknowledged);
  absl::Status Repeat(Client& client, std::atomic<size_t>& acknowledged);
  std::map<std::string, v1::Point> TakeMine(std::map<std::string, v1::Point>& stored) const;
  // OK if the stored points are exactly those of `expected`.
  absl::Status Compare(const PointVersions& expected,
                       const std::map<std::string, v1::Point>& stored) const;

  const int index_;
  const std::string collection_;
  std::mt19937_64 random_;
  uint64_t next_version_ = 1;
  std::vector<uint64_t> moves_;  // the first version at each place
  bool only_streams_ = false;
  bool delete_many_ = false;
  std::atomic<size_t> large_deletions_{0};
  std::atomic<size_t> large_deletions_answered_{0};
  PointVersions state_;            // acknowledged
  std::deque<Request> in_flight_;  // sent and not answered, oldest first
  // Of those that the last crash met, the ones with an id that are still to be sent again.
  std::deque<Request> lost_, kept_;
  size_t requests_acknowledged_ = 0;
  size_t requests_lost_ = 0;
  size_t requests_kept_ = 0;
  size_t lost_repeated_ = 0;
  size_t kept_repeated_ = 0;
  absl::Status last_error_;
};

}  // namespace tessera

#endif  // TESSERA_TESTS_CRASH_CRASH_WRITER_H_
