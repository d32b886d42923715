#include <spdkio/base/unique_fd.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

#include "engine_embedded/memory/system_memory.hpp"

// Of linux/memfd.h and linux/mman.h, which clash with sys/mman.h on some C libraries.
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace spdkio::embedded {
namespace {

constexpr std::size_t system_page = 4096;

Error system_error(const char* operation, std::string message = {}) {
  const int code = errno;
  return Error::from_errno(code, std::move(message)).with_operation(operation);
}

std::size_t read_number(const char* path) {
  std::ifstream file(path);
  std::size_t number = 0;
  return file >> number ? number : 0;
}

/// Reserves addresses at a multiple of 2 MiB, to be mapped over.
Result<std::byte*> reserve_aligned(std::size_t size) {
  const std::size_t most = size + hugepage_bytes;
  void* raw = ::mmap(nullptr, most, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return std::unexpected(system_error("mmap"));
  auto* begin = static_cast<std::byte*>(raw);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(begin) % hugepage_bytes;
  if (before != 0) ::munmap(begin, before);
  ::munmap(begin + before + size, most - before - size);
  return begin + before;
}

class LinuxMemory final : public SystemMemory {
 public:
  Result<std::byte*> map(const MapRequest& request) override {
    UniqueFd file;
    if (request.shm_id >= 0) {
      auto made = make_file(request);
      if (!made) return std::unexpected(std::move(made).error());
      file = *std::move(made);
    }
    auto reserved = reserve_aligned(request.size);
    if (!reserved) return reserved;
    std::byte* const memory = *reserved;
    const auto fail = [&](Error error) -> Result<std::byte*> {
      ::munmap(memory, request.size);
      return std::unexpected(std::move(error));
    };

    int flags = MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
    if (request.huge && !file) flags |= MAP_HUGETLB | MAP_HUGE_2MB;
    if (::mmap(memory, request.size, PROT_READ | PROT_WRITE, flags, file.get(), 0) == MAP_FAILED) {
      return fail(system_error("mmap"));
    }
    if (request.numa_node >= 0) {
      if (auto bound = bind(memory, request); !bound) return fail(std::move(bound).error());
    }
    if (request.huge) {
      // A child would copy hugepages that it has no use for, and its parent's devices would go on in the old ones.
      ::madvise(memory, request.size, MADV_DONTFORK);
      // What the mapping reserved may still be out of reach, of the node or of a control group: better now than as
      // SIGBUS.
      if (::madvise(memory, request.size, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
        return fail(system_error("madvise", "the hugepages can't be had"));
      }
    } else {
      ::madvise(memory, request.size, MADV_HUGEPAGE);
    }
    if (file) {
      const std::lock_guard lock(mutex_);
      files_.emplace(memory, std::move(file));
    }
    return memory;
  }

  void unmap(std::byte* memory, std::size_t size) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      files_.erase(memory);
    }
    ::munmap(memory, size);
  }

  HugepageCount hugepages() const override {
    const std::string folder = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
    const std::size_t total = read_number((folder + "nr_hugepages").c_str());
    const std::size_t free = read_number((folder + "free_hugepages").c_str());
    const std::size_t reserved = read_number((folder + "resv_hugepages").c_str());
    const std::size_t surplus = read_number((folder + "surplus_hugepages").c_str());
    const std::size_t overcommit = read_number((folder + "nr_overcommit_hugepages").c_str());
    const std::size_t can_be_made = overcommit > surplus ? overcommit - surplus : 0;
    return {.free = (free > reserved ? free - reserved : 0) + can_be_made, .total = total + can_be_made};
  }

  bool numa_node_exists(int node) const override {
    if (node < 0) return false;
    if (!have_numa()) return node == 0;
    return node <= ::numa_max_node() && ::numa_bitmask_isbitset(::numa_all_nodes_ptr, static_cast<unsigned>(node)) != 0;
  }

  std::size_t numa_node_count() const override {
    return have_numa() ? static_cast<std::size_t>(::numa_num_configured_nodes()) : 1;
  }

  bool is_mapped(const std::byte* memory, std::size_t size) const override {
    // Does nothing but look for holes.
    return ::msync(const_cast<std::byte*>(memory), size, MS_ASYNC) == 0 || errno != ENOMEM;
  }

  std::size_t page_size_of(const std::byte* memory) const override {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    std::ifstream maps("/proc/self/smaps");
    bool inside = false;
    for (std::string line; std::getline(maps, line);) {
      unsigned long begin = 0;
      unsigned long end = 0;
      std::size_t kib = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
        inside = begin <= address && address < end;
      } else if (inside && std::sscanf(line.c_str(), "KernelPageSize: %zu kB", &kib) == 1) {
        return kib << 10;
      }
    }
    return system_page;
  }

  Result<std::uint64_t> physical_address(const std::byte* memory) const override {
    const UniqueFd file(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!file) return std::unexpected(system_error("open", "/proc/self/pagemap"));
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    std::uint64_t entry = 0;
    if (::pread(file.get(), &entry, sizeof entry, static_cast<off_t>(address / system_page * sizeof entry)) !=
        sizeof entry) {
      return std::unexpected(system_error("pread", "/proc/self/pagemap"));
    }
    constexpr std::uint64_t present = std::uint64_t{1} << 63;
    constexpr std::uint64_t frame_mask = (std::uint64_t{1} << 55) - 1;
    if ((entry & present) == 0) {
      return std::unexpected(Error(std::errc::bad_address, "the page is not in memory").with_operation("translate"));
    }
    if ((entry & frame_mask) == 0) {  // what the kernel shows to those it does not trust with them
      return std::unexpected(
          Error(std::errc::operation_not_permitted, "this process may not learn physical addresses")
              .with_operation("translate")
              .with_hint("bind the device to vfio-pci with an IOMMU, or give the process CAP_SYS_ADMIN"));
    }
    return (entry & frame_mask) * system_page + address % system_page;
  }

 private:
  static bool have_numa() {
    static const bool have = ::numa_available() >= 0;
    return have;
  }

  // A file without a path: it goes with the last process that has it, whatever way that one ends. Others find it by its
  // name among the descriptors of this process.
  Result<UniqueFd> make_file(const MapRequest& request) {
    const std::string name = fmt::format("spdkio-{}-{}", request.shm_id, next_file_.fetch_add(1));
    UniqueFd file(::memfd_create(name.c_str(), MFD_CLOEXEC | (request.huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0U)));
    if (!file) return std::unexpected(system_error("memfd_create"));
    if (::ftruncate(file.get(), static_cast<off_t>(request.size)) != 0) {
      return std::unexpected(system_error("ftruncate"));
    }
    return file;
  }

  static Result<> bind(std::byte* memory, const MapRequest& request) {
    if (!have_numa()) return {};
    bitmask* nodes = ::numa_allocate_nodemask();
    ::numa_bitmask_setbit(nodes, static_cast<unsigned>(request.numa_node));
    // Hugepages that the node lacks are found out at once. An ordinary page that it lacks would end the process later,
    // so there the node is a wish.
    const int mode = request.huge ? MPOL_BIND : MPOL_PREFERRED;
    const long done = ::mbind(memory, request.size, mode, nodes->maskp, nodes->size + 1, 0);
    const int code = errno;
    ::numa_free_nodemask(nodes);
    if (done == 0) return {};
    return std::unexpected(
        Error::from_errno(code, fmt::format("NUMA node {}", request.numa_node)).with_operation("mbind"));
  }

  std::atomic<unsigned> next_file_{0};
  std::mutex mutex_;
  std::map<const std::byte*, UniqueFd> files_;  // guarded by the mutex: of shared memory, as long as it is mapped
};

}  // namespace

SystemMemory& linux_memory() {
  // Never destroyed: destructors of static objects may still free memory.
  static LinuxMemory& memory = *new LinuxMemory;
  return memory;
}

}  // namespace spdkio::embedded
