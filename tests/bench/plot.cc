#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "tests/bench/measure.h"

namespace tessera::bench {
namespace {

constexpr double kLeft = 70, kTop = 40, kWidth = 560, kHeight = 380;
constexpr double kRecallMin = 0.8, kRecallMax = 1.0;

std::string Format(const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  return text;
}

double X(double recall) {
  return kLeft + kWidth * (recall - kRecallMin) / (kRecallMax - kRecallMin);
}
double Y(double qps, double low, double high) {
  return kTop + kHeight * (std::log(high) - std::log(qps)) / (std::log(high) - std::log(low));
}

}  // namespace

std::string PlotSvg(const std::vector<Series>& all, size_t batch, const std::string& title) {
  constexpr std::array<const char*, 8> kColors = {"#0b6e99", "#d9730d", "#0f7b6c", "#ad1a72",
                                                  "#6940a5", "#e03e3e", "#64473a", "#9b9a97"};
  double low = 1e9, high = 1;
  for (const Series& series : all) {
    for (const Point& p : series.points) {
      if (p.recall < kRecallMin) continue;
      low = std::min(low, p.qps[batch]);
      high = std::max(high, p.qps[batch]);
    }
  }
  if (low > high) return "";
  std::string out = Format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"700\" height=\"480\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"700\" height=\"480\" fill=\"white\"/>\n<text x=\"70\" y=\"24\" "
      "font-size=\"15\">%s</text>\n",
      title.c_str());
  for (double r = kRecallMin; r < kRecallMax + 0.001; r += 0.05) {
    out += Format("<line x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\" stroke=\"#ddd\"/>\n", X(r),
                  kTop, X(r), kTop + kHeight);
    out += Format("<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%.2f</text>\n", X(r),
                  kTop + kHeight + 18, r);
  }
  for (double decade = 100; decade < 1e7; decade *= 10) {
    for (double step : {1.0, 2.0, 5.0}) {
      const double qps = decade * step;
      if (qps < low || qps > high) continue;
      const double y = Y(qps, low, high);
      out += Format("<line x1=\"%.0f\" y1=\"%.1f\" x2=\"%.0f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
                    kLeft, y, kLeft + kWidth, y);
      out += Format("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n", kLeft - 6,
                    y + 4, qps);
    }
  }
  out += Format(
      "<text x=\"350\" y=\"456\" text-anchor=\"middle\">recall@10 (queries per second, "
      "logarithmic, by one thread's CPU time)</text>\n");
  for (size_t c = 0; c < all.size(); ++c) {
    const char* color = kColors[c % kColors.size()];
    std::string line;
    for (const Point& p : Unbeaten(all[c].points, batch)) {
      if (p.recall < kRecallMin) continue;
      const double x = X(p.recall), y = Y(p.qps[batch], low, high);
      line += Format("%.1f,%.1f ", x, y);
      out += Format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x, y, color);
    }
    out += "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" + std::string(color) +
           "\" points=\"" + line + "\"/>\n";
    out += Format("<text x=\"%.0f\" y=\"%.0f\" fill=\"%s\">%s</text>\n", kLeft + 10,
                  kTop + kHeight - 10 - 16.0 * static_cast<double>(c), color,
                  all[c].contender.c_str());
  }
  return out + "</svg>\n";
}

}  // namespace tessera::bench
