#include "client/cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"

namespace tessera::cli {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(100);  // on a terminal
constexpr absl::Duration kLineInterval = absl::Seconds(5);           // elsewhere
constexpr absl::Duration kRateInterval = absl::Milliseconds(500);
constexpr double kRateSmoothing = 0.2;  // share of the newest interval in the rate
constexpr size_t kBarColumns = 24;

}  // namespace

std::string RenderProgress(const ProgressState& state, size_t bar_columns) {
  std::string line = state.label;
  const std::string unit = state.unit.empty() ? "" : absl::StrCat(" ", state.unit);
  if (state.total > 0) {
    const double share =
        std::min(1.0, static_cast<double>(state.done) / static_cast<double>(state.total));
    if (bar_columns > 0) {
      const size_t filled = static_cast<size_t>(share * static_cast<double>(bar_columns));
      absl::StrAppend(&line, "  [", std::string(filled, '#'),
                      std::string(bar_columns - filled, '-'), "]");
    }
    absl::StrAppend(&line, "  ", FormatFixed(100 * share, 1), "%  ", FormatCount(state.done), " / ",
                    FormatCount(state.total), unit);
  } else {
    absl::StrAppend(&line, "  ", FormatCount(state.done), unit);
  }
  if (state.per_second > 0) {
    absl::StrAppend(&line, "  ", FormatRate(state.per_second), "/s");
    if (state.total > state.done) {
      absl::StrAppend(
          &line, "  ETA ",
          FormatDuration(static_cast<double>(state.total - state.done) / state.per_second));
    }
  }
  return line;
}

ProgressBar::ProgressBar(std::ostream& out, size_t columns, Clock clock)
    : out_(out), columns_(columns), clock_(std::move(clock)) {}

void ProgressBar::Update(const std::string& label, const std::string& unit, uint64_t done,
                         uint64_t total) {
  const absl::Time now = clock_();
  if (!started_ || label != state_.label) {
    Complete();
    started_ = true;
    state_ = {label, unit, done, total, 0};
    begin_ = sampled_ = now;
    begin_done_ = sampled_done_ = done;
    drawn_ = now;
    if (columns_ > 0) Draw(/*last=*/false);
    return;
  }
  state_.done = done;
  state_.total = total;
  if (now - sampled_ >= kRateInterval && done >= sampled_done_) {
    const double rate =
        static_cast<double>(done - sampled_done_) / absl::ToDoubleSeconds(now - sampled_);
    state_.per_second = state_.per_second == 0
                            ? rate
                            : (1 - kRateSmoothing) * state_.per_second + kRateSmoothing * rate;
    sampled_ = now;
    sampled_done_ = done;
  }
  if (now - drawn_ >= (columns_ > 0 ? kRedrawInterval : kLineInterval)) {
    drawn_ = now;
    Draw(/*last=*/false);
  }
}

void ProgressBar::Finish() {
  if (!started_) return;
  Draw(/*last=*/true);
  started_ = false;
}

void ProgressBar::Complete() {
  if (state_.total > 0) state_.done = state_.total;
  Finish();
}

std::string ProgressBar::Fit(const ProgressState& state) const {
  const size_t room = columns_ - 1;  // a full line would wrap
  std::string line = RenderProgress(state, kBarColumns);
  const size_t width = DisplayWidth(line);
  if (width <= room) return line;
  const size_t excess = width - room;
  line = RenderProgress(state, excess < kBarColumns ? kBarColumns - excess : 0);
  return Ellipsize(line, room);
}

void ProgressBar::Draw(bool last) {
  ProgressState state = state_;
  if (last) {
    // Over the whole of it, which is what one wants to know afterwards.
    const double seconds = absl::ToDoubleSeconds(clock_() - begin_);
    state.per_second = seconds > 0 && state.done >= begin_done_
                           ? static_cast<double>(state.done - begin_done_) / seconds
                           : 0;
  }
  if (columns_ > 0) {
    out_ << '\r' << Fit(state) << "\x1b[K";  // clears what a longer line left behind
    if (last) out_ << '\n';
  } else {
    out_ << RenderProgress(state, /*bar_columns=*/0) << '\n';
  }
  out_.flush();
}

}  // namespace tessera::cli
