// The memory service on the machine's own system calls, whatever it offers.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine_embedded/memory/memory_service.hpp"
#include "engine_embedded/memory/memory_test_util.hpp"
#include "engine_embedded/memory/system_memory.hpp"

namespace spdkio::embedded {
namespace {

/// What the first page of the range says, read by the kernel: no crash when it is not mapped.
bool readable(const std::byte* memory) {
  int fds[2];
  if (::pipe(fds) != 0) return false;
  const bool ok = ::write(fds[1], memory, 1) == 1;
  ::close(fds[0]);
  ::close(fds[1]);
  return ok;
}

std::size_t shared_files(const std::string& name) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    if (std::filesystem::read_symlink(entry, ignored).string().starts_with("/memfd:" + name)) ++count;
  }
  return count;
}

TEST(LinuxMemory, MapsAlignedZeroedMemory) {
  auto& system = linux_memory();
  for (const std::size_t size : {2 * MiB, 6 * MiB}) {
    const auto memory = system.map({.size = size});
    ASSERT_TRUE(memory.has_value()) << memory.error().what();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(*memory) % (2 * MiB), 0u);
    EXPECT_EQ((*memory)[0], std::byte{0});
    EXPECT_EQ((*memory)[size - 1], std::byte{0});
    (*memory)[size - 1] = std::byte{1};
    EXPECT_TRUE(system.is_mapped(*memory, size));
    EXPECT_EQ(system.page_size_of(*memory), 4096u);
    system.unmap(*memory, size);
    EXPECT_FALSE(readable(*memory));
    EXPECT_FALSE(system.is_mapped(*memory, size));
  }
}

// Whether there are hugepages or not: either they are there and usable, or the error says what the kernel said.
TEST(LinuxMemory, HugepagesOrAnError) {
  auto& system = linux_memory();
  const auto count = system.hugepages();
  EXPECT_LE(count.free, count.total);
  const auto memory = system.map({.size = 2 * MiB, .huge = true});
  if (!memory) {
    EXPECT_EQ(memory.error().operation(), "mmap") << memory.error().what();
    return;
  }
  std::memset(*memory, 1, 2 * MiB);
  EXPECT_EQ(system.page_size_of(*memory), 2 * MiB);
  system.unmap(*memory, 2 * MiB);
}

TEST(LinuxMemory, Nodes) {
  auto& system = linux_memory();
  EXPECT_GE(system.numa_node_count(), 1u);
  EXPECT_FALSE(system.numa_node_exists(-1));
  EXPECT_FALSE(system.numa_node_exists(100'000));
  int some = 0;
  while (!system.numa_node_exists(some) && some < 1024) ++some;
  const auto memory = system.map({.size = 2 * MiB, .numa_node = some});
  // A sandbox may forbid binding; then that is the error.
  if (memory) {
    (*memory)[0] = std::byte{1};
    system.unmap(*memory, 2 * MiB);
  } else {
    EXPECT_EQ(memory.error().operation(), "mbind") << memory.error().what();
  }
}

TEST(LinuxMemory, PhysicalAddressesOrAnErrorWithAHint) {
  auto& system = linux_memory();
  alignas(4096) static std::byte page[4096];
  page[0] = std::byte{1};
  const auto address = system.physical_address(page + 17);
  if (address) {
    EXPECT_EQ(*address % 4096, 17u);
  } else {
    EXPECT_TRUE(address.error().code() == std::errc::operation_not_permitted ||
                address.error().code() == std::errc::permission_denied)
        << address.error().what();
  }
  const auto memory = system.map({.size = 2 * MiB});
  ASSERT_TRUE(memory.has_value());
  EXPECT_FALSE(system.physical_address(*memory + MiB).has_value()) << "never touched";
  system.unmap(*memory, 2 * MiB);
}

TEST(LinuxMemory, SharedMemoryCanBeMappedByOthers) {
  const std::string name = fmt::format("spdkio-{}-", 4711);
  {
    const auto memory = make_memory_service({.mem_size = 2 * MiB, .shm_id = 4711, .no_huge = true});
    std::byte* begin = allocate(*memory, 4096);
    std::memset(begin, 0x5A, 4096);
    ASSERT_EQ(shared_files(name), 1u);
    // As another process would: by the name among the descriptors.
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code ignored;
      if (!std::filesystem::read_symlink(entry, ignored).string().starts_with("/memfd:" + name)) continue;
      const int fd = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
      ASSERT_GE(fd, 0);
      void* view = ::mmap(nullptr, 2 * MiB, PROT_READ, MAP_SHARED, fd, 0);
      ASSERT_NE(view, MAP_FAILED);
      const auto chunk = memory->chunks().at(0);
      EXPECT_EQ(static_cast<std::byte*>(view)[begin - chunk.base], std::byte{0x5A});
      ::munmap(view, 2 * MiB);
      ::close(fd);
    }
    memory->free(begin, 4096);
  }
  EXPECT_EQ(shared_files(name), 0u) << "nothing is left behind";
}

TEST(LinuxMemory, ServiceWithWhatTheMachineHas) {
  LogLines log;
  const bool hugepages = linux_memory().hugepages().free > 0;
  {
    const auto memory = make_memory_service({});
    EXPECT_EQ(memory->info().hugepages, hugepages);
    std::byte* begin = allocate(*memory, 100'000);
    ASSERT_NE(begin, nullptr);
    std::memset(begin, 1, 100'000);
    memory->free(begin, 100'000);
  }
  EXPECT_EQ(log.take().size(), hugepages ? 0u : 1u);
}

// Sanitizers need far more addresses than a limit would leave.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPDKIO_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SPDKIO_TEST_SANITIZED
#endif
#endif
#ifndef SPDKIO_TEST_SANITIZED
// In a child, so that the limit is its own. Its exit status says how far it got.
TEST(LinuxMemory, OutOfAddressSpace) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    log::set_level(log::Level::off);
    const auto memory = make_memory_service({.no_huge = true});
    std::size_t pages_now = 0;
    std::ifstream("/proc/self/statm") >> pages_now;
    const rlim_t most = pages_now * 4096 + 400 * MiB;
    const rlimit limit{.rlim_cur = most, .rlim_max = most};
    if (pages_now == 0 || ::setrlimit(RLIMIT_AS, &limit) != 0) ::_exit(1);
    if (allocate(*memory, 1024 * MiB) != nullptr) ::_exit(2);
    if (memory->info().description.find("the last growth failed") == std::string::npos) ::_exit(3);
    std::byte* small = allocate(*memory, 4096);
    if (small == nullptr) ::_exit(4);
    small[0] = std::byte{1};
    memory->free(small, 4096);
    std::size_t got = 0;
    while (allocate(*memory, MiB) != nullptr) ++got;
    if (got < 100 || got > 400) ::_exit(5);
    try {
      const auto other = make_memory_service({.mem_size = 1024 * MiB, .no_huge = true});
    } catch (const Error& error) {
      ::_exit(error.code() == std::errc::not_enough_memory && !error.hint().empty() ? 0 : 6);
    }
    ::_exit(7);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

}  // namespace
}  // namespace spdkio::embedded
