#include "engine_embedded/memory/page_map.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

namespace spdkio::embedded {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t unit = std::size_t{2} << 20;

const std::byte* at(std::uintptr_t address) { return reinterpret_cast<const std::byte*>(address); }

void note(PageMap& map, std::uintptr_t base, std::size_t size, void* value) {
  map.prepare(at(base), size);
  map.set(at(base), size, value);
}

TEST(PageMap, FindsWhatWasNotedAndNothingElse) {
  PageMap map;
  int a = 0;
  constexpr std::uintptr_t base = 0x7f0000000000 + 5 * page;
  EXPECT_EQ(map.find(at(base)), nullptr);
  note(map, base, 3 * page, &a);
  EXPECT_EQ(map.find(at(base - 1)), nullptr);
  EXPECT_EQ(map.find(at(base)), &a);
  EXPECT_EQ(map.find(at(base + 3 * page - 1)), &a);
  EXPECT_EQ(map.find(at(base + 3 * page)), nullptr);
  map.set(at(base), 3 * page, nullptr);
  EXPECT_EQ(map.find(at(base)), nullptr);
}

TEST(PageMap, AnyAddressMayBeAsked) {
  PageMap map;
  int a = 0;
  note(map, page, page, &a);
  note(map, PageMap::address_end - page, page, &a);
  EXPECT_EQ(map.find(nullptr), nullptr);
  EXPECT_EQ(map.find(at(page)), &a);
  EXPECT_EQ(map.find(at(PageMap::address_end - 1)), &a);
  EXPECT_EQ(map.find(at(PageMap::address_end)), nullptr);
  EXPECT_EQ(map.find(at(~std::uintptr_t{0})), nullptr);
  EXPECT_EQ(map.find(at(std::uintptr_t{1} << 63)), nullptr);
}

TEST(PageMap, LargeRunsWithRaggedEnds) {
  PageMap map;
  int a = 0;
  int b = 0;
  constexpr std::uintptr_t base = 0x10000000000 - 7 * page;  // crosses the edge of a top entry, too
  constexpr std::size_t size = 5 * unit + 20 * page;
  note(map, base, size, &a);
  note(map, base + size, page, &b);
  for (std::uintptr_t p = base; p < base + size; p += page) ASSERT_EQ(map.find(at(p)), &a);
  EXPECT_EQ(map.find(at(base + size)), &b);
  note(map, base + 2 * unit, page, &b);  // inside of what was noted as a whole
  EXPECT_EQ(map.find(at(base + 2 * unit)), &b);
  EXPECT_EQ(map.find(at(base + 2 * unit + page)), &a);
}

TEST(PageMap, RandomAgainstAShadow) {
  PageMap map;
  std::map<std::uintptr_t, void*> shadow;
  std::mt19937 random(7);
  static int values[4];
  constexpr std::uintptr_t base = (std::uintptr_t{3} << 34) - 4 * unit;
  constexpr std::size_t pages = 8 * unit / page;
  for (int step = 0; step < 1000; ++step) {
    const std::size_t first = random() % pages;
    std::size_t count = 1 + random() % (random() % 2 == 0 ? 20 : 2000);
    count = std::min(count, pages - first);
    void* value = random() % 3 == 0 ? nullptr : &values[random() % 4];
    note(map, base + first * page, count * page, value);
    for (std::size_t i = first; i < first + count; ++i) shadow[base + i * page] = value;
    if (step % 50 != 0) continue;
    for (std::size_t i = 0; i < pages; ++i) {
      const auto found = shadow.find(base + i * page);
      ASSERT_EQ(map.find(at(base + i * page)), found == shadow.end() ? nullptr : found->second) << i;
    }
  }
}

// What is noted for a page is seen without interruption while its neighbours come and go.
TEST(PageMap, ReadersAreNotDisturbed) {
  PageMap map;
  int mine = 0;
  int other = 0;
  constexpr std::uintptr_t base = 0x7f0000000000;
  note(map, base + 100 * page, page, &mine);
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) ASSERT_EQ(map.find(at(base + 100 * page)), &mine);
  });
  for (int i = 0; i < 2000; ++i) {
    note(map, base, 100 * page, &other);
    note(map, base + 101 * page, unit, &other);
    map.set(at(base), 100 * page, nullptr);
    map.set(at(base + 101 * page), unit, nullptr);
    note(map, base + unit, 4 * unit, &other);
    map.set(at(base + unit), 4 * unit, nullptr);
  }
  done = true;
  reader.join();
}

}  // namespace
}  // namespace spdkio::embedded
