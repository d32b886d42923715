// A library in the manner of SPDK and DPDK: parts enter themselves into a table before main() starts.
#pragma once

namespace toy {

inline constexpr int table_size = 8;

void enter(const char* name);
bool entered(const char* name);

struct Entry {
  explicit Entry(const char* name) { enter(name); }
};

}  // namespace toy
