#include <spdkio/base/intrusive_list.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace spdkio {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct ByAge;
struct Item : IntrusiveListNode<>, IntrusiveListNode<ByAge> {
  explicit Item(int v) : value(v) {}
  int value;
};
using List = IntrusiveList<Item>;
using AgeList = IntrusiveList<Item, ByAge>;

static_assert(std::bidirectional_iterator<List::Iterator>);
static_assert(!std::is_copy_constructible_v<List> && !std::is_copy_constructible_v<IntrusiveListNode<>>);

std::vector<int> values(const List& list) {
  std::vector<int> result;
  for (const Item& item : list) result.push_back(item.value);
  return result;
}

class IntrusiveListTest : public testing::Test {
 protected:
  bool linked(const Item& item) { return static_cast<const IntrusiveListNode<>&>(item).is_linked(); }
  Item a{1}, b{2}, c{3};
  List list;
};

TEST_F(IntrusiveListTest, KeepsTheOrderOfInsertion) {
  EXPECT_TRUE(list.empty());
  list.push_back(b);
  list.push_front(a);
  list.push_back(c);
  EXPECT_THAT(values(list), ElementsAre(1, 2, 3));
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(&list.front(), &a);
  EXPECT_EQ(&list.back(), &c);
}

TEST_F(IntrusiveListTest, InsertsBefore) {
  list.push_back(c);
  list.insert_before(c, a);
  list.insert_before(c, b);
  EXPECT_THAT(values(list), ElementsAre(1, 2, 3));
}

TEST_F(IntrusiveListTest, RemovesAnywhere) {
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  list.remove(b);
  EXPECT_FALSE(linked(b));
  EXPECT_THAT(values(list), ElementsAre(1, 3));
  static_cast<IntrusiveListNode<>&>(a).unlink();
  static_cast<IntrusiveListNode<>&>(a).unlink();
  EXPECT_THAT(values(list), ElementsAre(3));
  list.push_back(b);
  EXPECT_THAT(values(list), ElementsAre(3, 2));
  list.clear();
  EXPECT_TRUE(list.empty());
  EXPECT_FALSE(linked(c));
}

TEST_F(IntrusiveListTest, Pops) {
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_back(), &c);
  EXPECT_EQ(list.pop_back(), &b);
  EXPECT_EQ(list.pop_back(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
}

TEST_F(IntrusiveListTest, MovesAllAtOnce) {
  list.push_back(a);
  list.push_back(b);
  List other{std::move(list)};
  EXPECT_TRUE(list.empty());
  EXPECT_THAT(values(other), ElementsAre(1, 2));
  list.push_back(c);
  list.splice_back(other);
  EXPECT_TRUE(other.empty());
  EXPECT_THAT(values(list), ElementsAre(3, 1, 2));
  list.splice_back(other);
  list.splice_back(list);
  EXPECT_THAT(values(list), ElementsAre(3, 1, 2));
  other = std::move(list);
  EXPECT_THAT(values(list), IsEmpty());
  EXPECT_EQ(&*--other.end(), &b);
  EXPECT_THAT(values(other), ElementsAre(3, 1, 2));
}

TEST_F(IntrusiveListTest, AssignmentUnlinksWhatWasThere) {
  list.push_back(a);
  List other;
  other.push_back(b);
  list = std::move(other);
  EXPECT_FALSE(linked(a));
  EXPECT_THAT(values(list), ElementsAre(2));
}

TEST_F(IntrusiveListTest, AnElementMayBeInSeveralLists) {
  AgeList ages;
  list.push_back(a);
  list.push_back(b);
  ages.push_back(b);
  ages.push_back(a);
  EXPECT_THAT(values(list), ElementsAre(1, 2));
  EXPECT_EQ(ages.front().value, 2);
  list.remove(b);
  EXPECT_EQ(ages.size(), 2u);
}

TEST_F(IntrusiveListTest, StepsOnBeforeTheElementGoes) {
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  for (auto it = list.begin(); it != list.end();) {
    Item& item = *it++;
    if (item.value != 2) list.remove(item);
  }
  EXPECT_THAT(values(list), ElementsAre(2));
}

TEST(IntrusiveList, DestructionUnlinksTheElements) {
  Item item{1};
  {
    List list;
    list.push_back(item);
  }
  EXPECT_FALSE(static_cast<IntrusiveListNode<>&>(item).is_linked());
}

#ifndef NDEBUG
TEST(IntrusiveListDeathTest, ALinkedElementMustNotDie) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        List list;
        auto item = std::make_unique<Item>(1);
        list.push_back(*item);
        item.reset();
      },
      "destroyed while in a list");
}

TEST(IntrusiveListDeathTest, AnElementIsInOneListPerTag) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        List list;
        Item item{1};
        list.push_back(item);
        list.push_back(item);
      },
      "already in a list");
}
#endif

}  // namespace
}  // namespace spdkio
