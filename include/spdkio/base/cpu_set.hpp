// Sets of CPU numbers, in the notations of SPDK and of Linux.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace spdkio {

/// A set of CPU numbers 0..1023. A plain value; iteration is in ascending order.
class CpuSet {
 public:
  static constexpr unsigned max_cpus = 1024;

  constexpr CpuSet() = default;
  /// Throws Error (Misuse::invalid_argument) for a number of `max_cpus` or more, as do `add` and `add_range`.
  CpuSet(std::initializer_list<unsigned> cpus);

  /// Reads what a person wrote: a mask with its prefix (`0x1f`), a list in brackets (`[0,1,4-7]`), or a plain list
  /// (`0-3,8`). Throws Error (Misuse::invalid_argument) naming the text and the position of the mistake. Digits alone,
  /// as in `10`, are refused: SPDK would read a mask, Linux a CPU number.
  static CpuSet parse(std::string_view text);
  /// Reads what SPDK's configuration files and RPCs hold: a list in brackets, or a hexadecimal mask with or without
  /// `0x`. Errors as in `parse`.
  static CpuSet parse_mask(std::string_view text);
  /// Reads Linux's notation, as in /sys/devices/system: numbers and ranges with commas. Errors as in `parse`.
  static CpuSet parse_list(std::string_view text);

  /// The CPUs that the kernel has online. Throws Error with the errno if it doesn't say. CPUs past `max_cpus` are left
  /// out.
  static CpuSet online();
  /// The CPUs that the calling thread may run on. Throws Error with the errno. CPUs past `max_cpus` are left out.
  static CpuSet allowed();

  void add(unsigned cpu);
  /// Both ends belong to the range; `first` is not above `last`.
  void add_range(unsigned first, unsigned last);
  constexpr void remove(unsigned cpu) {
    if (cpu < max_cpus) words_[cpu / 64] &= ~bit(cpu);
  }
  constexpr bool contains(unsigned cpu) const { return cpu < max_cpus && (words_[cpu / 64] & bit(cpu)) != 0; }
  constexpr unsigned count() const {
    unsigned total = 0;
    for (const std::uint64_t word : words_) total += static_cast<unsigned>(std::popcount(word));
    return total;
  }
  constexpr bool empty() const { return *this == CpuSet{}; }
  constexpr bool is_subset_of(const CpuSet& other) const { return (*this & other) == *this; }
  /// The lowest CPU, or nothing if the set is empty.
  constexpr std::optional<unsigned> first() const {
    const unsigned cpu = at_or_after(0);
    return cpu < max_cpus ? std::optional{cpu} : std::nullopt;
  }

  constexpr bool operator==(const CpuSet&) const = default;
  constexpr CpuSet& operator|=(const CpuSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    return *this;
  }
  constexpr CpuSet& operator&=(const CpuSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
    return *this;
  }
  /// Takes the CPUs of `other` out.
  constexpr CpuSet& operator-=(const CpuSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
    return *this;
  }
  friend constexpr CpuSet operator|(CpuSet a, const CpuSet& b) { return a |= b; }
  friend constexpr CpuSet operator&(CpuSet a, const CpuSet& b) { return a &= b; }
  friend constexpr CpuSet operator-(CpuSet a, const CpuSet& b) { return a -= b; }

  /// SPDK's form: lower-case hexadecimal digits without prefix, `0` for the empty set. `parse_mask` reads it.
  std::string to_mask_string() const;
  /// `[0-3,8]`; `parse` and `parse_mask` read it.
  std::string to_list_string() const;

  class Iterator {
   public:
    using value_type = unsigned;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;

    constexpr Iterator() = default;
    constexpr unsigned operator*() const { return cpu_; }
    constexpr Iterator& operator++() {
      cpu_ = set_->at_or_after(cpu_ + 1);
      return *this;
    }
    constexpr Iterator operator++(int) {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    constexpr bool operator==(const Iterator& other) const { return cpu_ == other.cpu_; }

   private:
    friend class CpuSet;
    constexpr Iterator(const CpuSet* set, unsigned cpu) : set_(set), cpu_(cpu) {}
    const CpuSet* set_ = nullptr;
    unsigned cpu_ = max_cpus;
  };
  /// Iterators refer to the set, which must stay where it is.
  constexpr Iterator begin() const { return {this, at_or_after(0)}; }
  constexpr Iterator end() const { return {this, max_cpus}; }

 private:
  static constexpr std::uint64_t bit(unsigned cpu) { return std::uint64_t{1} << (cpu % 64); }
  constexpr unsigned at_or_after(unsigned cpu) const {
    while (cpu < max_cpus) {
      if (const std::uint64_t rest = words_[cpu / 64] >> (cpu % 64); rest != 0) {
        return cpu + static_cast<unsigned>(std::countr_zero(rest));
      }
      cpu = (cpu / 64 + 1) * 64;
    }
    return max_cpus;
  }

  std::array<std::uint64_t, max_cpus / 64> words_{};
};

}  // namespace spdkio
