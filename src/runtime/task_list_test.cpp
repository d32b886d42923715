#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/task_list.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::HasSubstr;

Task<> sleep_for_ever() {
  try {
    co_await sleep_for(1h);
  } catch (const Error& error) {
    EXPECT_TRUE(is_cancelled(error));
  }
}

TEST(Describe, OneLineForEachTask) {
  EXPECT_EQ(describe({}), "");
  EXPECT_EQ(describe({{.name = "reader", .spawned_at = "a.cpp:3", .waiting_on = "read"},
                      {.name = "", .spawned_at = "b.cpp:4", .waiting_on = "ready"}}),
            "reader (a.cpp:3) waiting on read; task (b.cpp:4) waiting on ready");
}

TEST(TaskList, KeepsCountWhateverIsRemoved) {
  detail::TaskList list;
  detail::TaskNode a;
  detail::TaskNode b;
  detail::TaskNode c;
  list.add(a);
  list.add(b);
  list.add(c);
  EXPECT_EQ(list.size(), 3u);
  list.remove(b);
  list.remove(c);
  list.add(b);
  list.remove(a);
  list.remove(b);
  EXPECT_TRUE(list.empty());
}

TEST(RunningTasks, OfTheCurrentThreadWithNamesAndPlaces) {
  run([]() -> Task<> {
    Event go;
    auto waits = [](Event& event) -> Task<> { co_await event.wait(); };
    auto one = CurrentThread::spawn(waits(go), "first");
    auto two = CurrentThread::handle().spawn(sleep_for_ever(), "second");
    co_await yield();
    co_await yield();
    auto tasks = CurrentThread::running_tasks();
    EXPECT_EQ(tasks.size(), 3u);  // and this one, spawned by block_on
    const auto first = std::ranges::find(tasks, "first", &RunningTask::name);
    EXPECT_NE(first, tasks.end());
    EXPECT_EQ(first->waiting_on, "Event");
    EXPECT_THAT(first->spawned_at, HasSubstr("task_list_test.cpp:"));
    const auto second = std::ranges::find(tasks, "second", &RunningTask::name);
    EXPECT_NE(second, tasks.end());
    EXPECT_EQ(second->waiting_on, "sleep_for");
    go.set();
    co_await std::move(one);
    two.request_stop();
    two.detach();
  });
}

}  // namespace
}  // namespace spdkio
