#include <spdkio/runtime/lcore.hpp>

#include <spdkio/runtime/thread.hpp>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::ElementsAre;

TEST(Cores, WithoutAnEngineSaySo) {
  const auto not_started = make_error_code(Misuse::not_started);
  EXPECT_EQ(error_of([] { Cores::all(); }), not_started);
  EXPECT_EQ(error_of([] { Cores::count(); }), not_started);
  EXPECT_EQ(error_of([] { Cores::main(); }), not_started);
  EXPECT_EQ(error_of([] { Cores::current(); }), make_error_code(Misuse::wrong_thread));
  const auto sent = LcoreEvent::send(CoreId{0}, [] {});
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code(), not_started);
  EXPECT_EQ(error_of([] { Thread::create("t"); }), not_started);
}

struct FakeHost final : detail::CoreHost {
  std::vector<CoreId> cores() const override { return {CoreId{1}, CoreId{4}}; }
  CoreId main_core() const noexcept override { return CoreId{4}; }
  Result<> send_event(CoreId core, std::move_only_function<void()> fn) override {
    if (core != CoreId{1}) return std::unexpected(Error(Misuse::invalid_argument, "no reactor"));
    fn();
    return {};
  }
};

TEST(Cores, AskTheEngineThatRuns) {
  FakeHost host;
  detail::CoreHost::install(&host);
  EXPECT_THAT(Cores::all(), ElementsAre(CoreId{1}, CoreId{4}));
  EXPECT_EQ(Cores::count(), 2u);
  EXPECT_EQ(Cores::main(), CoreId{4});
  bool ran = false;
  EXPECT_TRUE(LcoreEvent::send(CoreId{1}, [&] { ran = true; }));
  EXPECT_TRUE(ran);
  EXPECT_FALSE(LcoreEvent::send(CoreId{2}, [] {}));
  detail::CoreHost::set_current_core(1);
  EXPECT_EQ(Cores::current(), CoreId{1});
  detail::CoreHost::set_current_core(-1);
  detail::CoreHost::install(nullptr);
}

}  // namespace
}  // namespace spdkio
