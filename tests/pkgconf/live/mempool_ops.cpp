// Starts DPDK without hugepages, devices or privileges and looks for the mempool driver named on the command line.
// Such drivers enter themselves into a table from constructors: nothing else refers to their archive.
//
// Ends with 0 if the driver is there and a pool made with it hands out an object; 3 if it is not there; 2 if anything
// else went wrong.

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mempool.h>

#include <sched.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>

namespace {

constexpr int found = 0;
constexpr int failed = 2;
constexpr int not_found = 3;

bool start_eal(const char* program) {
  // DPDK permutes the array and keeps pointers into it.
  static std::array<std::string, 10> words;
  static std::array<char*, 10> arguments;
  words = {program,
           "--no-huge",
           "--no-pci",
           "--no-shconf",
           "--no-telemetry",
           "-m",
           "64",
           "--lcores",
           "0@" + std::to_string(sched_getcpu()),
           "--log-level=error"};
  for (std::size_t i = 0; i < words.size(); ++i) {
    arguments[i] = words[i].data();
  }
  return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
}

int use(const char* driver) {
  rte_mempool* pool = rte_mempool_create_empty("pkgconf_test", 63, 64, 0, 0, SOCKET_ID_ANY, 0);
  if (pool == nullptr) {
    std::printf("no pool: %s\n", rte_strerror(rte_errno));
    return failed;
  }
  void* object = nullptr;
  const bool works = rte_mempool_set_ops_byname(pool, driver, nullptr) == 0 && rte_mempool_populate_default(pool) > 0 &&
                     rte_mempool_get(pool, &object) == 0;
  if (works) {
    rte_mempool_put(pool, object);
  }
  rte_mempool_free(pool);
  std::printf("%s: %s\n", driver, works ? "works" : "is there but does not work");
  return works ? found : failed;
}

int look_for(const char* driver) {
  const std::span table{rte_mempool_ops_table.ops, rte_mempool_ops_table.num_ops};
  std::printf("%zu mempool drivers\n", table.size());
  for (const auto& entry : table) {
    if (std::strcmp(entry.name, driver) == 0) {
      return use(driver);
    }
  }
  std::printf("%s: not registered\n", driver);
  return not_found;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::printf("usage: %s <mempool driver>\n", argv[0]);
    return failed;
  }
  if (!start_eal(argv[0])) {
    std::printf("DPDK does not start: %s\n", rte_strerror(rte_errno));
    return failed;
  }
  std::printf("DPDK runs\n");
  const int result = look_for(argv[1]);
  rte_eal_cleanup();
  return result;
}
