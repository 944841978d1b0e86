#ifndef TESSERA_CLIENT_CLI_PROGRESS_H_
#define TESSERA_CLIENT_CLI_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tessera::cli {

struct ProgressState {
  std::string label;  // "load", "train: k-means"
  std::string unit;   // "points"; may be empty
  uint64_t done = 0;
  uint64_t total = 0;     // 0: unknown
  double per_second = 0;  // 0: unknown
};

// One line without its end: label, bar, percent, counts, rate, and the time that is left. Without
// the bar if `bar_columns` is 0.
std::string RenderProgress(const ProgressState& state, size_t bar_columns);

// Shows how far long work has come: on a terminal one line that is redrawn, elsewhere a line now
// and then. Thread-compatible; the stream must outlive it.
class ProgressBar {
 public:
  using Clock = std::function<absl::Time()>;

  // `columns`: of the terminal that `out` is; 0 if it is none.
  ProgressBar(
      std::ostream& out, size_t columns, Clock clock = [] { return absl::Now(); });

  // Another label begins a new line, and its rate anew; what the old one stood for is complete.
  void Update(const std::string& label, const std::string& unit, uint64_t done, uint64_t total);

  // Draws the state as it is now and ends the line. Nothing if there was no Update.
  void Finish();
  // As Finish, for work that has come to its end.
  void Complete();

 private:
  void Draw(bool last);
  // The line for a terminal: the bar gives way to the numbers where there is little room.
  std::string Fit(const ProgressState& state) const;

  std::ostream& out_;
  const size_t columns_;
  const Clock clock_;
  ProgressState state_;
  bool started_ = false;
  absl::Time begin_;         // of this label
  uint64_t begin_done_ = 0;  // what was done then
  absl::Time sampled_;       // when the rate was last taken
  uint64_t sampled_done_ = 0;
  absl::Time drawn_;
};

}  // namespace tessera::cli

#endif  // TESSERA_CLIENT_CLI_PROGRESS_H_
