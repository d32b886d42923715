#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/when_all.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace runtime_test;
using ::testing::HasSubstr;

Task<int> number(int value) {
  co_await yield();
  co_return value;
}
template <class E>
Task<int> throws(E exception) {
  co_await yield();
  throw exception;
}

TEST(AsResult, GivesTheValueOrTheError) {
  run([]() -> Task<> {
    EXPECT_EQ((co_await as_result(number(3))).value(), 3);
    const Error io_error(std::errc::io_error, "disk");
    const auto failed = co_await as_result(throws(io_error));
    EXPECT_EQ(failed.error().code(), std::errc::io_error);
    EXPECT_EQ(failed.error().message(), "disk");
  });
}

TEST(AsResult, WrapsOtherExceptionsWithTheirText) {
  run([]() -> Task<> {
    const std::runtime_error error("not ours");
    EXPECT_THAT((co_await as_result(throws(error))).error().what(), HasSubstr("not ours"));
    EXPECT_FALSE((co_await as_result(throws(7))).has_value());
  });
}

TEST(AsResult, VoidMoveOnlyAndReferences) {
  run([]() -> Task<> {
    auto nothing = []() -> Task<> { co_return; };
    EXPECT_TRUE((co_await as_result(nothing())).has_value());
    auto unique = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
    auto owned = co_await as_result(unique());
    EXPECT_EQ(**owned, 4);
    int target = 0;
    auto reference = [](int& t) -> Task<int&> { co_return t; };
    const auto result = co_await as_result(reference(target));
    result->get() = 5;
    EXPECT_EQ(target, 5);
  });
}

TEST(AsResult, TakesAwaitersByReferenceToo) {
  run([]() -> Task<> {
    Event event;
    event.set();
    auto wait = event.wait();
    EXPECT_TRUE((co_await as_result(wait)).has_value());
  });
}

TEST(AsResult, CanBeMovedBeforeItIsAwaited) {
  run([]() -> Task<> {
    auto handle = CurrentThread::spawn(number(6));
    auto pending = as_result(std::move(handle));
    auto [a, b] = co_await when_all(std::move(pending), as_result(number(7)));
    EXPECT_EQ(a.value(), 6);
    EXPECT_EQ(b.value(), 7);
  });
}

TEST(AsResult, MisuseFoundBeforeTheWaitIsAnErrorToo) {
  run([]() -> Task<> {
    auto task = number(1);
    EXPECT_EQ(co_await std::move(task), 1);
    const auto again = co_await as_result(std::move(task));  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(again.error().code(), make_error_code(Misuse::already_closed));
    auto handle = CurrentThread::spawn(number(6));
    EXPECT_EQ(co_await std::move(handle), 6);
    const auto joined = co_await as_result(std::move(handle));  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(joined.error().code(), make_error_code(Misuse::already_closed));
  });
}

/// An operation that answers with a value and must not be asked to throw.
struct Operation {
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  int await_resume() const {
    ADD_FAILURE() << "thrown and caught";
    return 0;
  }
  Result<int> resume_result() const { return std::unexpected(Error(std::errc::io_error)); }
};

TEST(AsResult, OperationsAnswerWithoutAThrow) {
  run([]() -> Task<> { EXPECT_EQ((co_await as_result(Operation{})).error().code(), std::errc::io_error); });
}

}  // namespace
}  // namespace spdkio
