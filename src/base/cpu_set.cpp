#include <spdkio/base/cpu_set.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/unique_fd.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace spdkio {
namespace {

[[noreturn]] void refuse(unsigned cpu) {
  throw Error(Misuse::invalid_argument, fmt::format("CPU {} is above the highest one, {}", cpu, CpuSet::max_cpus - 1));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_blank(char c) { return c == ' ' || c == '\t'; }

enum class TooHigh { refuse, leave_out };

class Parser {
 public:
  explicit Parser(std::string_view text, TooHigh too_high = TooHigh::refuse) : text_(text), too_high_(too_high) {}

  // The part of the text from `begin` to `end` as hexadecimal digits.
  CpuSet mask(std::size_t begin) {
    CpuSet set;
    position_ = begin;
    if (at_end()) fail("hexadecimal digits are expected");
    for (; !at_end(); ++position_) {
      const int digit = hex_digit(text_[position_]);
      if (digit < 0) fail("this is not a hexadecimal digit");
      const std::size_t lowest = (text_.size() - 1 - position_) * 4;
      for (unsigned bit = 0; bit < 4; ++bit) {
        if ((digit >> bit & 1) == 0) continue;
        if (lowest + bit >= CpuSet::max_cpus) fail_too_high(lowest + bit);
        set.add(static_cast<unsigned>(lowest + bit));
      }
    }
    return set;
  }

  CpuSet bracketed_list() {
    position_ = 1;
    skip_blanks();
    CpuSet set;
    if (peek() != ']') set = ranges();
    if (peek() != ']') fail(at_end() ? "']' is missing" : "',' or ']' is expected");
    ++position_;
    if (!at_end()) fail("nothing may follow the ']'");
    return set;
  }

  CpuSet plain_list() {
    skip_blanks();
    CpuSet set = ranges();
    if (!at_end()) fail("',' or the end is expected");
    return set;
  }

  [[noreturn]] void fail(std::string_view why) const {
    throw Error(Misuse::invalid_argument, fmt::format("CPU set \"{}\", position {}: {}", text_, position_ + 1, why));
  }

 private:
  CpuSet ranges() {
    CpuSet set;
    for (;;) {
      const std::size_t start = position_;
      const unsigned first = number();
      unsigned last = first;
      if (peek() == '-') {
        ++position_;
        skip_blanks();
        last = number();
      }
      if (last < first) {
        position_ = start;
        fail(fmt::format("the range {}-{} runs backwards", first, last));
      }
      if (first < CpuSet::max_cpus) set.add_range(first, std::min(last, CpuSet::max_cpus - 1));
      if (peek() != ',') return set;
      ++position_;
      skip_blanks();
    }
  }

  unsigned number() {
    if (!is_digit(peek())) fail("a CPU number is expected");
    const std::size_t start = position_;
    std::uint64_t value = 0;
    for (; is_digit(peek()); ++position_) {
      value = std::min<std::uint64_t>(value * 10 + static_cast<unsigned>(peek() - '0'), 1'000'000'000);
    }
    if (value >= CpuSet::max_cpus && too_high_ == TooHigh::refuse) {
      const std::string_view digits = text_.substr(start, position_ - start);
      position_ = start;
      fail_too_high(digits);
    }
    skip_blanks();
    return static_cast<unsigned>(value);
  }

  template <class Cpu>
  [[noreturn]] void fail_too_high(const Cpu& cpu) const {
    fail(fmt::format("CPU {} is above the highest one, {}", cpu, CpuSet::max_cpus - 1));
  }

  bool at_end() const { return position_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[position_]; }
  void skip_blanks() {
    while (is_blank(peek())) ++position_;
  }

  std::string_view text_;
  TooHigh too_high_;
  std::size_t position_ = 0;
};

bool has_hex_prefix(std::string_view text) { return text.starts_with("0x") || text.starts_with("0X"); }

}  // namespace

CpuSet::CpuSet(std::initializer_list<unsigned> cpus) {
  for (const unsigned cpu : cpus) add(cpu);
}

CpuSet CpuSet::parse(std::string_view text) {
  Parser parser(text);
  if (text.empty()) parser.fail("the text is empty");
  if (text.starts_with('[')) return parser.bracketed_list();
  if (has_hex_prefix(text)) return parser.mask(2);
  if (std::ranges::all_of(text, [](char c) { return is_digit(c) || is_blank(c); })) {
    parser.fail("digits alone may be a mask or a CPU number: put 0x before it or [ ] around it");
  }
  return parser.plain_list();
}

CpuSet CpuSet::parse_mask(std::string_view text) {
  Parser parser(text);
  if (text.empty()) parser.fail("the text is empty");
  if (text.starts_with('[')) return parser.bracketed_list();
  return parser.mask(has_hex_prefix(text) ? 2 : 0);
}

CpuSet CpuSet::parse_list(std::string_view text) { return Parser(text).plain_list(); }

CpuSet CpuSet::online() {
  constexpr const char* path = "/sys/devices/system/cpu/online";
  const UniqueFd file{::open(path, O_RDONLY | O_CLOEXEC)};
  if (!file) throw Error::from_errno(errno, fmt::format("cannot open {}", path));
  std::array<char, 4096> buffer;
  const ssize_t length = ::read(file.get(), buffer.data(), buffer.size());
  if (length < 0) throw Error::from_errno(errno, fmt::format("cannot read {}", path));
  std::string_view text{buffer.data(), static_cast<std::size_t>(length)};
  while (text.ends_with('\n')) text.remove_suffix(1);
  return Parser(text, TooHigh::leave_out).plain_list();
}

CpuSet CpuSet::allowed() {
  // The kernel refuses a buffer shorter than its own masks; those of the largest machines have 8192 bits.
  std::array<unsigned long, 8192 / (8 * sizeof(unsigned long))> mask{};
  if (::sched_getaffinity(0, sizeof mask, reinterpret_cast<cpu_set_t*>(mask.data())) != 0) {
    throw Error::from_errno(errno, "cannot read the CPU affinity of this thread");
  }
  constexpr unsigned bits_per_word = 8 * sizeof(unsigned long);
  CpuSet set;
  for (unsigned cpu = 0; cpu < max_cpus; ++cpu) {
    if ((mask[cpu / bits_per_word] >> (cpu % bits_per_word) & 1) != 0) set.add(cpu);
  }
  return set;
}

void CpuSet::add(unsigned cpu) {
  if (cpu >= max_cpus) refuse(cpu);
  words_[cpu / 64] |= bit(cpu);
}

void CpuSet::add_range(unsigned first, unsigned last) {
  if (last >= max_cpus) refuse(last);
  if (first > last)
    throw Error(Misuse::invalid_argument, fmt::format("the CPU range {}-{} runs backwards", first, last));
  for (unsigned cpu = first; cpu <= last; ++cpu) words_[cpu / 64] |= bit(cpu);
}

std::string CpuSet::to_mask_string() const {
  std::string digits;
  for (std::size_t i = words_.size(); i-- > 0;) {
    if (!digits.empty()) {
      digits += fmt::format("{:016x}", words_[i]);
    } else if (words_[i] != 0) {
      digits = fmt::format("{:x}", words_[i]);
    }
  }
  return digits.empty() ? "0" : digits;
}

std::string CpuSet::to_list_string() const {
  std::string list = "[";
  for (auto it = begin(); it != end();) {
    const unsigned first = *it;
    unsigned last = first;
    for (++it; it != end() && *it == last + 1; ++it) last = *it;
    if (list.size() > 1) list += ',';
    list += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
  }
  list += ']';
  return list;
}

}  // namespace spdkio
