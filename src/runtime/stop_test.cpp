#include <spdkio/runtime/stop.hpp>

#include <memory>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spdkio::detail {
namespace {

using ::testing::UnorderedElementsAre;

struct Recorder : StopNode {
  Recorder(std::vector<int>& to, int value) : StopNode(on_stop), calls(to), id(value) {}
  static void on_stop(StopNode& node) noexcept {
    auto& self = static_cast<Recorder&>(node);
    self.calls.push_back(self.id);
  }
  std::vector<int>& calls;
  int id;
};

TEST(StopState, CallsEveryNodeOnce) {
  std::vector<int> calls;
  StopState state;
  Recorder a(calls, 1);
  Recorder b(calls, 2);
  Recorder gone(calls, 3);
  state.add(a);
  state.add(gone);
  state.add(b);
  gone.unlink();
  EXPECT_FALSE(gone.linked());
  state.request_stop();
  state.request_stop();
  EXPECT_THAT(calls, UnorderedElementsAre(1, 2));
  EXPECT_TRUE(state.stop_requested());
  EXPECT_FALSE(a.linked());
}

TEST(StopState, StopsTheLevelsBelowAndNotTheOneAbove) {
  StopState root;
  StopState middle;
  StopState leaf;
  middle.link_to(&root);
  leaf.link_to(&middle);
  middle.request_stop();
  EXPECT_TRUE(leaf.stop_requested());
  EXPECT_FALSE(root.stop_requested());
  root.request_stop();
}

TEST(StopState, LinkedToAStoppedParentStopsAtOnce) {
  StopState root;
  root.request_stop();
  StopState leaf;
  leaf.link_to(&root);
  EXPECT_TRUE(leaf.stop_requested());
  StopState alone;
  alone.link_to(nullptr);
  EXPECT_FALSE(alone.stop_requested());
}

TEST(StopState, UnlinkedHearsNothing) {
  StopState root;
  StopState leaf;
  leaf.link_to(&root);
  leaf.unlink_from_parent();
  root.request_stop();
  EXPECT_FALSE(leaf.stop_requested());
}

TEST(StopState, EitherEndMayDieFirst) {
  std::vector<int> calls;
  auto parent = std::make_unique<StopState>();
  StopState child;
  Recorder node(calls, 1);
  child.link_to(parent.get());
  parent->add(node);
  parent.reset();
  EXPECT_FALSE(node.linked());
  child.request_stop();
  child.unlink_from_parent();

  StopState root;
  {
    StopState short_lived;
    short_lived.link_to(&root);
    Recorder inner(calls, 2);
    root.add(inner);
  }
  root.request_stop();
  EXPECT_TRUE(calls.empty());
}

struct Destroyer : StopNode {
  explicit Destroyer(std::optional<Recorder>& other) : StopNode(on_stop), victim(other) {}
  static void on_stop(StopNode& node) noexcept { static_cast<Destroyer&>(node).victim.reset(); }
  std::optional<Recorder>& victim;
};

TEST(StopState, ACallbackMayDestroyOtherNodes) {
  std::vector<int> calls;
  StopState state;
  std::optional<Recorder> victim;
  victim.emplace(calls, 1);
  Destroyer destroyer(victim);
  state.add(*victim);
  state.add(destroyer);  // runs first: the newest does
  state.request_stop();
  EXPECT_TRUE(calls.empty());
}

struct Adder : StopNode {
  Adder(StopState& to, StopNode& other) : StopNode(on_stop), state(to), added(other) {}
  static void on_stop(StopNode& node) noexcept {
    auto& self = static_cast<Adder&>(node);
    self.state.add(self.added);
  }
  StopState& state;
  StopNode& added;
};

TEST(StopState, ANodeAddedByACallbackIsCalledToo) {
  std::vector<int> calls;
  StopState state;
  Recorder late(calls, 1);
  Adder adder(state, late);
  state.add(adder);
  state.request_stop();
  EXPECT_THAT(calls, UnorderedElementsAre(1));
}

}  // namespace
}  // namespace spdkio::detail

namespace spdkio {
namespace {

TEST(StopToken, LooksAtAState) {
  EXPECT_FALSE(StopToken().stop_possible());
  EXPECT_FALSE(StopToken().stop_requested());
  detail::StopState state;
  const StopToken token(&state);
  EXPECT_TRUE(token.stop_possible());
  EXPECT_FALSE(token.stop_requested());
  state.request_stop();
  EXPECT_TRUE(token.stop_requested());
}

}  // namespace
}  // namespace spdkio
