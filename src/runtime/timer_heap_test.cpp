#include <spdkio/runtime/thread_core.hpp>

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spdkio::detail {
namespace {

using ::testing::ElementsAre;

struct Timer : TimerNode {
  Timer(std::vector<int>& to, int id, std::uint64_t deadline) : fired(&to), id(id) {
    deadline_ticks = deadline;
    fire = [](TimerNode& node) noexcept {
      auto& self = static_cast<Timer&>(node);
      self.fired->push_back(self.id);
    };
  }
  std::vector<int>* fired;
  int id;
};

TEST(TimerHeap, FiresWhatIsDueInOrderOfDeadlines) {
  std::vector<int> fired;
  Timer a(fired, 1, 30);
  Timer b(fired, 2, 10);
  Timer c(fired, 3, 20);
  TimerHeap heap;
  heap.push(a);
  heap.push(b);
  heap.push(c);
  EXPECT_EQ(heap.earliest(), 10u);
  EXPECT_EQ(heap.run_due(9), 0u);
  EXPECT_EQ(heap.run_due(20), 2u);
  EXPECT_THAT(fired, ElementsAre(2, 3));
  EXPECT_TRUE(a.queued());
  EXPECT_FALSE(b.queued());
  EXPECT_EQ(heap.run_due(UINT64_MAX), 1u);
  EXPECT_TRUE(heap.empty());
}

TEST(TimerHeap, TimersOfTheSameTickFireInOrderOfAdding) {
  std::vector<int> fired;
  std::vector<Timer> timers;
  for (int i = 0; i < 20; ++i) timers.emplace_back(fired, i, 5);
  TimerHeap heap;
  for (auto& timer : timers) heap.push(timer);
  heap.run_due(5);
  std::vector<int> expected;
  for (int i = 0; i < 20; ++i) expected.push_back(i);
  EXPECT_EQ(fired, expected);
}

TEST(TimerHeap, RemovingOneThatIsNotThereDoesNothing) {
  std::vector<int> fired;
  Timer timer(fired, 1, 1);
  TimerHeap heap;
  heap.remove(timer);
  heap.push(timer);
  heap.remove(timer);
  heap.remove(timer);
  EXPECT_EQ(heap.run_due(10), 0u);
}

struct Rearming : TimerNode {
  TimerHeap* heap = nullptr;
  Timer* other = nullptr;
  int calls = 0;
};

TEST(TimerHeap, ACallbackMayAddAndRemoveTimers) {
  std::vector<int> fired;
  Timer victim(fired, 1, 5);
  TimerHeap heap;
  Rearming timer;
  timer.heap = &heap;
  timer.other = &victim;
  timer.deadline_ticks = 1;
  timer.fire = [](TimerNode& node) noexcept {
    auto& self = static_cast<Rearming&>(node);
    self.heap->remove(*self.other);
    if (++self.calls == 3) return;
    self.deadline_ticks += 2;
    self.heap->push(self);
  };
  heap.push(victim);
  heap.push(timer);
  EXPECT_EQ(heap.run_due(10), 3u);
  EXPECT_EQ(timer.calls, 3);
  EXPECT_TRUE(fired.empty());
}

TEST(TimerHeap, AgreesWithASortedListUnderRandomUse) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<int> fired;
    std::vector<Timer> timers;
    for (int i = 0; i < 100; ++i) timers.emplace_back(fired, i, random() % 40);
    TimerHeap heap;
    std::vector<const Timer*> expected;
    for (auto& timer : timers) heap.push(timer);
    for (auto& timer : timers) {
      if (random() % 3 == 0) {
        heap.remove(timer);
      } else {
        expected.push_back(&timer);
      }
    }
    std::ranges::sort(expected, {}, [](const Timer* timer) { return std::pair{timer->deadline_ticks, timer->order}; });
    heap.run_due(UINT64_MAX);
    std::vector<int> expected_ids;
    for (const Timer* timer : expected) expected_ids.push_back(timer->id);
    EXPECT_EQ(fired, expected_ids);
  }
}

}  // namespace
}  // namespace spdkio::detail
