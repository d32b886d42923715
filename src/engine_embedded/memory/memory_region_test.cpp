// Regions, chunks and translation of the memory service.
#include <sys/mman.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "engine_embedded/memory/fake_system.hpp"
#include "engine_embedded/memory/memory_service.hpp"
#include "engine_embedded/memory/memory_test_util.hpp"

namespace spdkio::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Memory of the program's, aligned to 2 MiB.
class Mapping {
 public:
  explicit Mapping(std::size_t size) : size_(size + 2 * MiB) {
    raw_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw_ == MAP_FAILED) std::abort();
    const auto address = reinterpret_cast<std::uintptr_t>(raw_);
    begin_ = static_cast<std::byte*>(raw_) + (-address % (2 * MiB));
  }
  Mapping(const Mapping&) = delete;
  ~Mapping() { ::munmap(raw_, size_); }
  std::byte* get() const { return begin_; }

 private:
  std::size_t size_;
  void* raw_;
  std::byte* begin_;
};

/// Device addresses are the program's own plus an offset; remembers what is mapped.
class FakeMapper final : public engine::DmaMapper {
 public:
  static constexpr std::uint64_t offset = 0x1000000;
  std::map<std::byte*, std::size_t> mapped;
  std::size_t refuse_beyond = ~std::size_t{0};

  Result<engine::Iova> map(std::byte* memory, std::size_t size) override {
    if (mapped.size() >= refuse_beyond)
      return std::unexpected(Error(std::errc::no_space_on_device, "the IOMMU is full"));
    if (!mapped.emplace(memory, size).second) ADD_FAILURE() << "mapped twice";
    return engine::Iova{reinterpret_cast<std::uintptr_t>(memory) + offset};
  }
  void unmap(std::byte* memory, std::size_t size, engine::Iova iova) noexcept override {
    EXPECT_EQ(mapped.erase(memory), 1u);
    EXPECT_EQ(static_cast<std::uint64_t>(iova), reinterpret_cast<std::uintptr_t>(memory) + offset);
    EXPECT_GT(size, 0u);
  }
};

class MemoryRegionTest : public testing::Test {
 protected:
  ~MemoryRegionTest() override { EXPECT_EQ(system_.chunks(), 0u); }
  MemoryHandle make(const EnvOptions& options = {.no_huge = true}) { return make_memory_service(options, system_); }
  FakeSystem system_;
};

std::error_code code_of(const Result<>& result) { return result ? std::error_code{} : result.error().code(); }

std::uint64_t iova_of(const Result<engine::IovaRange>& range) {
  return range ? static_cast<std::uint64_t>(range->start) : ~std::uint64_t{0};
}

TEST_F(MemoryRegionTest, MisuseIsRefused) {
  const auto memory = make();
  const Mapping map(4 * MiB);
  std::byte* const base = map.get();
  EXPECT_EQ(code_of(memory->register_region(nullptr, 4096)), Misuse::invalid_argument);
  EXPECT_EQ(code_of(memory->register_region(base, 0)), Misuse::invalid_argument);
  EXPECT_EQ(code_of(memory->register_region(base + 512, 4096)), Misuse::misaligned);
  EXPECT_EQ(code_of(memory->register_region(base, 4095)), Misuse::misaligned);
  EXPECT_EQ(code_of(memory->register_region(base, ~std::size_t{0} - 4095)), Misuse::invalid_argument);
  EXPECT_EQ(code_of(memory->register_region(reinterpret_cast<void*>(~std::uintptr_t{0} - 4095), 4096)),
            Misuse::invalid_argument);
  EXPECT_EQ(code_of(memory->register_region(base, 512 * MiB * MiB)), Misuse::invalid_argument);
  EXPECT_EQ(code_of(memory->unregister_region(base)), Misuse::invalid_argument);
  EXPECT_TRUE(memory->chunks().empty());

  const Mapping hole(8 * MiB);
  ::munmap(hole.get() + 2 * MiB, 4096);
  EXPECT_EQ(code_of(memory->register_region(hole.get(), 4 * MiB)), std::errc::bad_address);
}

TEST_F(MemoryRegionTest, OverlapsAreRefused) {
  const auto memory = make();
  const Mapping map(16 * MiB);
  std::byte* const base = map.get();
  ASSERT_TRUE(memory->register_region(base + 4 * MiB, 4 * MiB));
  for (const auto& [offset, size] : std::vector<std::pair<std::size_t, std::size_t>>{{4 * MiB, 4 * MiB},
                                                                                     {4 * MiB, 4096},
                                                                                     {5 * MiB, 4096},
                                                                                     {3 * MiB, 2 * MiB},
                                                                                     {8 * MiB - 4096, 8192},
                                                                                     {0, 16 * MiB}}) {
    EXPECT_EQ(code_of(memory->register_region(base + offset, size)), std::errc::address_in_use) << offset;
  }
  EXPECT_TRUE(memory->register_region(base + 8 * MiB, 4096));
  EXPECT_TRUE(memory->register_region(base + 4 * MiB - 4096, 4096));

  std::byte* own = allocate(*memory, 64 * KiB);
  EXPECT_EQ(code_of(memory->register_region(own, 4096)), std::errc::address_in_use);
  memory->free(own, 64 * KiB);

  EXPECT_EQ(code_of(memory->unregister_region(base + 5 * MiB)), Misuse::invalid_argument) << "not its beginning";
  EXPECT_TRUE(memory->unregister_region(base + 4 * MiB));
  EXPECT_EQ(code_of(memory->unregister_region(base + 4 * MiB)), Misuse::invalid_argument);
  EXPECT_TRUE(memory->register_region(base + 4 * MiB, 4 * MiB)) << "the place is free again";
  for (const std::size_t offset : {4 * MiB, 8 * MiB, 4 * MiB - 4096}) {
    EXPECT_TRUE(memory->unregister_region(base + offset));
  }
}

TEST_F(MemoryRegionTest, ChunksKeepTheirIndex) {
  const auto memory = make();
  const Mapping map(16 * MiB);
  std::byte* const base = map.get();
  const auto version = memory->chunks_version();
  for (std::size_t i = 0; i < 4; ++i) ASSERT_TRUE(memory->register_region(base + i * 4 * MiB, MiB));
  EXPECT_NE(memory->chunks_version(), version);
  ASSERT_EQ(memory->chunks().size(), 4u);
  ASSERT_TRUE(memory->unregister_region(base + 4 * MiB));
  auto chunks = memory->chunks();
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[1].base, nullptr);
  EXPECT_EQ(chunks[1].size, 0u);
  EXPECT_EQ(chunks[2].base, base + 8 * MiB);

  std::byte* own = allocate(*memory, 4096);
  chunks = memory->chunks();
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_LE(chunks[1].base, own);
  EXPECT_GT(chunks[1].base + chunks[1].size, own);
  memory->free(own, 4096);
  for (const std::size_t i : {0u, 2u, 3u}) EXPECT_TRUE(memory->unregister_region(base + i * 4 * MiB));
}

TEST_F(MemoryRegionTest, RegionsOutliveTheEngine) {
  LogLines log;
  auto memory = make();
  engine::MemoryService* const service = memory.get();
  const Mapping map(2 * MiB);
  ASSERT_TRUE(memory->register_region(map.get(), 2 * MiB));
  memory.reset();
  EXPECT_THAT(log.take(), ElementsAre(HasSubstr("1 region(s)")));
  EXPECT_EQ(code_of(service->register_region(map.get(), 2 * MiB)), Misuse::not_started);
  EXPECT_TRUE(service->unregister_region(map.get()));
}

TEST_F(MemoryRegionTest, TranslateWithAMapper) {
  FakeMapper mapper;
  FakeMapper second;
  auto memory = make();
  std::byte* early = allocate(*memory, 4096);
  ASSERT_TRUE(memory->set_dma_mapper(&mapper));
  EXPECT_EQ(mapper.mapped.size(), 1u);
  std::byte* late = allocate(*memory, 64 * MiB);
  EXPECT_EQ(mapper.mapped.size(), 2u);
  const Mapping map(4 * MiB);
  ASSERT_TRUE(memory->register_region(map.get() + 4096, MiB));
  EXPECT_EQ(mapper.mapped.size(), 3u);

  for (std::byte* begin : {early, early + 100, late, late + 63 * MiB, map.get() + 4096, map.get() + MiB}) {
    EXPECT_EQ(iova_of(memory->translate(begin, 1)), reinterpret_cast<std::uintptr_t>(begin) + FakeMapper::offset);
  }
  EXPECT_EQ(memory->translate(late, 64 * MiB)->length, 64 * MiB);
  EXPECT_EQ(memory->translate(late + MiB, 100 * MiB)->length, 63 * MiB) << "ends with the allocation";
  EXPECT_EQ(memory->translate(early + 96, 10'000)->length, 4000u);
  EXPECT_EQ(memory->translate(map.get() + 8192, 2 * MiB)->length, MiB - 4096);

  ASSERT_TRUE(memory->unregister_region(map.get() + 4096));
  EXPECT_EQ(mapper.mapped.size(), 2u);
  memory->free(late, 64 * MiB);
  EXPECT_EQ(mapper.mapped.size(), 1u) << "the chunk went back to the system";
  ASSERT_TRUE(memory->set_dma_mapper(&second));
  EXPECT_TRUE(mapper.mapped.empty());
  EXPECT_EQ(second.mapped.size(), 1u);
  {
    LogLines log;
    engine::MemoryService* const service = memory.get();
    memory.reset();
    EXPECT_TRUE(second.mapped.empty()) << "the driver may be gone before the last buffer";
    service->free(early, 4096);
  }
}

TEST_F(MemoryRegionTest, AMapperThatRefuses) {
  FakeMapper mapper;
  const auto memory = make();
  const Mapping map(8 * MiB);
  ASSERT_TRUE(memory->register_region(map.get(), MiB));
  ASSERT_TRUE(memory->register_region(map.get() + 2 * MiB, MiB));
  mapper.refuse_beyond = 1;
  EXPECT_EQ(code_of(memory->set_dma_mapper(&mapper)), std::errc::no_space_on_device);
  EXPECT_TRUE(mapper.mapped.empty());
  EXPECT_FALSE(memory->translate(map.get(), 1).has_value());

  mapper.refuse_beyond = 2;
  ASSERT_TRUE(memory->set_dma_mapper(&mapper));
  EXPECT_EQ(code_of(memory->register_region(map.get() + 4 * MiB, MiB)), std::errc::no_space_on_device);
  EXPECT_EQ(allocate(*memory, 4096), nullptr) << "a chunk that devices can't reach is none";
  EXPECT_THAT(memory->info().description, HasSubstr("the IOMMU is full"));
  EXPECT_EQ(system_.chunks(), 0u);
  mapper.refuse_beyond = ~std::size_t{0};
  std::byte* begin = allocate(*memory, 4096);
  EXPECT_NE(begin, nullptr);
  memory->free(begin, 4096);
  ASSERT_TRUE(memory->register_region(map.get() + 4 * MiB, MiB));
  ASSERT_TRUE(memory->set_dma_mapper(nullptr));
  EXPECT_TRUE(mapper.mapped.empty());
  for (const std::size_t offset : {std::size_t{0}, 2 * MiB, 4 * MiB}) {
    EXPECT_TRUE(memory->unregister_region(map.get() + offset));
  }
}

TEST_F(MemoryRegionTest, PhysicalAddressesOfHugepages) {
  system_.hugepages_total = 64;
  const auto memory = make(EnvOptions{});
  std::byte* begin = allocate(*memory, 16 * MiB);
  const auto physical = [&](const std::byte* address) { return system_.physical_address(address).value(); };
  EXPECT_EQ(iova_of(memory->translate(begin + 5, 10)), physical(begin + 5));
  EXPECT_EQ(memory->translate(begin, 16 * MiB)->length, 16 * MiB);
  EXPECT_EQ(memory->translate(begin + 3 * MiB, 6 * MiB)->length, 6 * MiB);
  memory->free(begin, 16 * MiB);
}

TEST_F(MemoryRegionTest, PhysicalMemoryEndsWhereItJumps) {
  system_.hugepages_total = 64;
  system_.physical_run = 1;
  const auto memory = make(EnvOptions{});
  std::byte* begin = allocate(*memory, 16 * MiB, 2 * MiB);
  EXPECT_EQ(memory->translate(begin, 16 * MiB)->length, 2 * MiB);
  EXPECT_EQ(memory->translate(begin + 2 * MiB - 100, 4096)->length, 100u);
  EXPECT_EQ(memory->translate(begin + 100, 4096)->length, 4096u);
  memory->free(begin, 16 * MiB);
}

TEST_F(MemoryRegionTest, RegionsOfHugepages) {
  const auto memory = make();
  const Mapping map(8 * MiB);
  std::byte* const region = map.get() + 3 * MiB;  // in the middle of a hugepage
  system_.huge_regions[region] = true;
  ASSERT_TRUE(memory->register_region(region, 4 * MiB));
  EXPECT_EQ(iova_of(memory->translate(region, 1)), system_.physical_address(region).value());
  EXPECT_EQ(memory->translate(region, 4 * MiB)->length, 4 * MiB);
  EXPECT_EQ(iova_of(memory->translate(region + 4 * MiB - 1, 1)),
            system_.physical_address(region + 4 * MiB - 1).value());
  ASSERT_TRUE(memory->unregister_region(region));
}

TEST_F(MemoryRegionTest, WhatHasNoDeviceAddress) {
  system_.hugepages_total = 1;
  const auto memory = make(EnvOptions{});
  std::byte* huge = allocate(*memory, 2 * MiB);
  std::byte* ordinary = allocate(*memory, 4096);
  const auto error_of = [&](const void* address, std::size_t size) {
    const auto range = memory->translate(address, size);
    return range ? Error(std::error_code{}) : range.error();
  };
  EXPECT_EQ(error_of(huge, 0).code(), Misuse::invalid_argument);
  EXPECT_EQ(error_of(nullptr, 1).code(), std::errc::bad_address);
  EXPECT_EQ(error_of(this, 1).code(), std::errc::bad_address);
  EXPECT_EQ(error_of(reinterpret_cast<void*>(~std::uintptr_t{0}), 1).code(), std::errc::bad_address);
  EXPECT_EQ(error_of(ordinary, 1).code(), std::errc::operation_not_supported);
  EXPECT_THAT(error_of(ordinary, 1).hint(), HasSubstr("vfio-pci"));
  EXPECT_EQ(error_of(ordinary + 4096, 1).code(), std::errc::bad_address) << "a block that nobody has";
  EXPECT_TRUE(memory->translate(huge, 1).has_value());
  memory->free(huge, 2 * MiB);
  memory->free(ordinary, 4096);
  EXPECT_EQ(error_of(huge, 1).code(), std::errc::bad_address);
}

TEST_F(MemoryRegionTest, PhysicalAddressesMayBeHidden) {
  system_.hugepages_total = 4;
  system_.may_see_physical = false;
  const auto memory = make(EnvOptions{});
  std::byte* begin = allocate(*memory, 4096);
  const auto range = memory->translate(begin, 4096);
  ASSERT_FALSE(range.has_value());
  EXPECT_EQ(range.error().code(), std::errc::operation_not_permitted);
  memory->free(begin, 4096);
}

// Addresses that stay are found all the time while regions and chunks around them come and go.
TEST_F(MemoryRegionTest, TranslateWhileOthersRegister) {
  FakeMapper mapper;
  const auto memory = make();
  ASSERT_TRUE(memory->set_dma_mapper(&mapper));
  const Mapping map(16 * MiB);
  std::byte* const mine = map.get() + 4 * MiB + 8192;
  ASSERT_TRUE(memory->register_region(mine, 4096));
  std::byte* own = allocate(*memory, 4096);
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      ASSERT_EQ(iova_of(memory->translate(mine, 1)), reinterpret_cast<std::uintptr_t>(mine) + FakeMapper::offset);
      ASSERT_EQ(iova_of(memory->translate(own, 1)), reinterpret_cast<std::uintptr_t>(own) + FakeMapper::offset);
      ASSERT_FALSE(memory->translate(map.get() + 14 * MiB, 1).has_value());
    }
  });
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(memory->register_region(map.get(), 4 * MiB));
    ASSERT_TRUE(memory->register_region(mine + 4096, 4 * MiB));
    std::byte* large = allocate(*memory, 48 * MiB);
    ASSERT_TRUE(memory->unregister_region(map.get()));
    memory->free(large, 48 * MiB);
    ASSERT_TRUE(memory->unregister_region(mine + 4096));
  }
  done = true;
  reader.join();
  ASSERT_TRUE(memory->unregister_region(mine));
  memory->free(own, 4096);
}

}  // namespace
}  // namespace spdkio::embedded
