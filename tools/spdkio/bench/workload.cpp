
#include "spdkio/bench/workload.hpp"

namespace spdkio::tool {

const std::vector<Workload>& all_workloads() {
  static const std::vector<Workload> workloads{
      {.name = "randread", .random = true, .reads = true, .meaning = "reads at random places"},
      {.name = "randwrite", .random = true, .writes = true, .meaning = "writes at random places"},
      {.name = "randrw", .random = true, .reads = true, .writes = true, .meaning = "both, mixed by --read-percent"},
      {.name = "read", .reads = true, .meaning = "reads in order"},
      {.name = "write", .writes = true, .meaning = "writes in order"},
      {.name = "rw", .reads = true, .writes = true, .meaning = "both in order, mixed by --read-percent"},
      {.name = "verify",
       .random = true,
       .reads = true,
       .writes = true,
       .verifies = true,
       .meaning = "randrw whose reads are compared with what was written"},
  };
  return workloads;
}

std::optional<Workload> find_workload(std::string_view name) {
  for (const Workload& workload : all_workloads()) {
    if (workload.name == name) return workload;
  }
  return std::nullopt;
}

}  // namespace spdkio::tool
