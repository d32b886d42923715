
#include "spdkio/terminal/progress_line.hpp"

#include "spdkio/terminal/bars.hpp"
#include "spdkio/terminal/human.hpp"

#include <spdkio/base/byte_size.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace spdkio::tool {
namespace {

constexpr std::size_t history_length = 20;
constexpr std::size_t gauge_width = 16;
// Rates over less than this jump about too much to be read.
constexpr std::chrono::milliseconds measure_interval{250};

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

ProgressLine::ProgressLine(Terminal terminal, ProgressOptions options, std::chrono::steady_clock::time_point start)
    : terminal_(terminal), options_(std::move(options)), start_(start), drawn_(start), measured_(start) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(const ProgressSample& sample) {
  if (finished_) return;
  measure(sample);
  const auto interval = terminal_.traits().live ? options_.live_interval : options_.plain_interval;
  const bool first_live = terminal_.traits().live && !visible_;
  if (!first_live && sample.now - drawn_ < interval) return;
  drawn_ = sample.now;
  if (terminal_.traits().live) {
    terminal_.write("\r" + live_line(sample) + "\x1b[K");
    visible_ = true;
  } else {
    terminal_.line(plain_line(sample));
  }
  terminal_.stream().flush();
}

void ProgressLine::finish() {
  if (visible_) {
    terminal_.write("\r\x1b[K");
    terminal_.stream().flush();
    visible_ = false;
  }
  finished_ = true;
}

void ProgressLine::measure(const ProgressSample& sample) {
  const double elapsed = seconds_between(measured_, sample.now);
  if (sample.now - measured_ < measure_interval) return;
  ios_per_second_ = static_cast<double>(sample.ios - measured_ios_) / elapsed;
  bytes_per_second_ = static_cast<double>(sample.bytes - measured_bytes_) / elapsed;
  measured_ = sample.now;
  measured_ios_ = sample.ios;
  measured_bytes_ = sample.bytes;
  history_.push_back(bytes_per_second_ > 0 ? bytes_per_second_ : ios_per_second_);
  if (history_.size() > history_length) history_.pop_front();
}

std::string ProgressLine::remaining(const ProgressSample& sample) const {
  const double elapsed = seconds_between(start_, sample.now);
  if (!sample.fraction || *sample.fraction <= 0 || elapsed <= 0) return human_clock(-1);
  const double fraction = std::min(*sample.fraction, 1.0);
  return human_clock(elapsed * (1 - fraction) / fraction);
}

std::string ProgressLine::live_line(const ProgressSample& sample) const {
  struct Part {
    std::string text;
    Tone tone;
    int rank;  // parts of the greatest rank go first when the line is too narrow
  };
  std::vector<Part> parts;
  parts.push_back({options_.title, Tone::strong, 0});
  if (sample.fraction) {
    parts.push_back({gauge(terminal_, *sample.fraction, gauge_width), Tone::accent, 4});
    parts.push_back({fmt::format("{:3.0f} %", 100 * std::clamp(*sample.fraction, 0.0, 1.0)), Tone::plain, 0});
  }
  if (sample.ios > 0) parts.push_back({fmt::format("{:>6} IOPS", format_count(ios_per_second_)), Tone::plain, 2});
  if (sample.bytes > 0) parts.push_back({fmt::format("{:>10}", format_rate(bytes_per_second_)), Tone::plain, 1});
  if (history_.size() > 1) {
    const std::vector<double> values{history_.begin(), history_.end()};
    parts.push_back({sparkline(terminal_, values), Tone::dim, 5});
  }
  parts.push_back({sample.fraction ? "ETA " + remaining(sample) : human_clock(seconds_between(start_, sample.now)),
                   Tone::plain, 3});
  if (!sample.note.empty()) parts.push_back({sample.note, Tone::warn, 1});

  const std::size_t limit = terminal_.traits().width > 1 ? terminal_.traits().width - 1 : 1;
  const auto width = [&] {
    std::size_t sum = 0;
    for (const Part& part : parts) sum += display_width(part.text) + 2;
    return sum - 2;
  };
  while (parts.size() > 1 && width() > limit) {
    parts.erase(
        std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.rank < b.rank; }));
  }
  std::string line;
  for (const Part& part : parts) {
    if (!line.empty()) line += "  ";
    line += terminal_.paint(part.tone, part.text);
  }
  return line;
}

std::string ProgressLine::plain_line(const ProgressSample& sample) const {
  std::string line = options_.title + ":";
  if (sample.fraction) line += fmt::format(" {:.0f} %,", 100 * std::clamp(*sample.fraction, 0.0, 1.0));
  if (sample.ios > 0) line += fmt::format(" {} IOPS,", format_count(ios_per_second_));
  if (sample.bytes > 0) line += fmt::format(" {},", format_rate(bytes_per_second_));
  line += sample.fraction ? fmt::format(" ETA {}", remaining(sample))
                          : fmt::format(" {} passed", human_clock(seconds_between(start_, sample.now)));
  if (!sample.note.empty()) line += ", " + sample.note;
  return line;
}

}  // namespace spdkio::tool
