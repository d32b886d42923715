#include <spdkio/base/intrusive_queue.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <type_traits>
#include <utility>
#include <vector>

namespace spdkio {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Item {
  int value = 0;
  Item* next = nullptr;
  Item* next_waiter = nullptr;
};
using Queue = IntrusiveQueue<Item>;
using WaiterQueue = IntrusiveQueue<Item, &Item::next_waiter>;

static_assert(!std::is_copy_constructible_v<Queue> && std::is_nothrow_move_constructible_v<Queue>);

template <class Q>
std::vector<int> drain(Q& queue) {
  std::vector<int> values;
  while (Item* item = queue.pop_front()) values.push_back(item->value);
  return values;
}

class IntrusiveQueueTest : public testing::Test {
 protected:
  Item a{1}, b{2}, c{3};
  Queue queue;
};

TEST_F(IntrusiveQueueTest, FirstInFirstOut) {
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.pop_front(), nullptr);
  for (Item* item : {&a, &b, &c}) queue.push_back(*item);
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.front(), &a);
  EXPECT_EQ(queue.back(), &c);
  EXPECT_THAT(drain(queue), ElementsAre(1, 2, 3));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.back(), nullptr);
  queue.push_back(b);
  EXPECT_THAT(drain(queue), ElementsAre(2));
}

TEST_F(IntrusiveQueueTest, PushFront) {
  queue.push_front(b);
  queue.push_front(a);
  queue.push_back(c);
  EXPECT_THAT(drain(queue), ElementsAre(1, 2, 3));
}

TEST_F(IntrusiveQueueTest, AStaleLinkDoesNotMatter) {
  a.next = &c;
  queue.push_back(a);
  queue.push_back(b);
  EXPECT_THAT(drain(queue), ElementsAre(1, 2));
}

TEST_F(IntrusiveQueueTest, MovesAndAppends) {
  queue.push_back(a);
  Queue other{std::move(queue)};
  EXPECT_TRUE(queue.empty());
  queue.push_back(b);
  other.append(std::move(queue));
  EXPECT_TRUE(queue.empty());
  other.append(std::move(queue));
  other.push_back(c);
  queue.append(std::move(other));
  EXPECT_TRUE(other.empty());
  other = std::move(queue);
  Queue& same = other;
  other = std::move(same);
  EXPECT_THAT(drain(queue), IsEmpty());
  EXPECT_THAT(drain(other), ElementsAre(1, 2, 3));
}

TEST_F(IntrusiveQueueTest, RemovesAnywhere) {
  for (Item* item : {&a, &b, &c}) queue.push_back(*item);
  EXPECT_TRUE(queue.remove(b));
  EXPECT_FALSE(queue.remove(b));
  EXPECT_TRUE(queue.remove(c));
  queue.push_back(b);
  EXPECT_TRUE(queue.remove(a));
  EXPECT_EQ(queue.front(), &b);
  EXPECT_EQ(queue.back(), &b);
  EXPECT_TRUE(queue.remove(b));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.back(), nullptr);
  queue.push_back(c);
  EXPECT_THAT(drain(queue), ElementsAre(3));
}

TEST_F(IntrusiveQueueTest, AnElementMayBeInSeveralQueues) {
  WaiterQueue waiters;
  queue.push_back(a);
  queue.push_back(b);
  waiters.push_back(b);
  waiters.push_back(a);
  EXPECT_THAT(drain(queue), ElementsAre(1, 2));
  EXPECT_THAT(drain(waiters), ElementsAre(2, 1));
}

}  // namespace
}  // namespace spdkio
