// ErrorContext across suspensions, awaits, Threads and joins.
#include <spdkio/base/error_context.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/when_all.hpp>
#include <spdkio/runtime/with_timeout.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

namespace spdkio {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Error error_of(Task<> task) {
  try {
    block_on(std::move(task));
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error::from_errno(0);
}

Task<> fail_after_a_turn() {
  co_await yield();
  throw Error::from_errno(EIO);
}

Task<> middle(int number) {
  const ErrorContext doing("step {}", number);
  co_await yield();
  co_await fail_after_a_turn();
}

Task<> outermost() {
  const ErrorContext doing("the whole");
  co_await middle(3);
}

TEST(TaskErrorContext, ChainOfAwaitedTasks) {
  const Error error = error_of(outermost());
  EXPECT_THAT(error.context(), ElementsAre("step 3", "the whole"));
  ASSERT_GE(error.tasks().size(), 3u);
  EXPECT_THAT(error.tasks()[0].where.function_name(), HasSubstr("fail_after_a_turn"));
  EXPECT_THAT(error.tasks()[1].where.function_name(), HasSubstr("middle"));
  EXPECT_THAT(error.tasks()[2].where.function_name(), HasSubstr("outermost"));
  EXPECT_THAT(error.report(), HasSubstr("fail_after_a_turn (error_context_test.cpp:"));
  EXPECT_THAT(error.report(), HasSubstr("\n  task: block_on ("));
}

Task<> interleaved(std::string name, std::vector<std::string>& seen) {
  const ErrorContext doing("{}", name);
  for (int i = 0; i < 3; ++i) {
    co_await yield();
    seen.push_back(Error::from_errno(EIO).context().at(0));
  }
}

TEST(TaskErrorContext, TasksThatTakeTurnsKeepTheirOwn) {
  std::vector<std::string> a;
  std::vector<std::string> b;
  block_on([](std::vector<std::string>& of_a, std::vector<std::string>& of_b) -> Task<> {
    co_await when_all(interleaved("a", of_a), interleaved("b", of_b));
    EXPECT_THAT(Error::from_errno(EIO).context(), IsEmpty());
  }(a, b));
  EXPECT_THAT(a, ElementsAre("a", "a", "a"));
  EXPECT_THAT(b, ElementsAre("b", "b", "b"));
}

TEST(TaskErrorContext, MembersOfAGroupHaveWhatTheirCallerDoes) {
  const Error error = error_of([]() -> Task<> {
    const ErrorContext doing("both");
    co_await when_all(middle(1), []() -> Task<> { co_return; }());
  }());
  EXPECT_THAT(error.context(), ElementsAre("step 1", "both"));
}

TEST(TaskErrorContext, JoinedTasksGetItOnce) {
  const Error error = error_of([]() -> Task<> {
    const ErrorContext doing("joining");
    auto handle = CurrentThread::spawn(middle(5), "worker");
    co_await std::move(handle);
  }());
  EXPECT_THAT(error.context(), ElementsAre("step 5", "joining"));
  EXPECT_THAT(error.report(), HasSubstr("\n  task: worker (error_context_test.cpp:"));
}

TEST(TaskErrorContext, TasksOfAScopeGetItAtTheJoin) {
  const Error error = error_of([]() -> Task<> {
    const ErrorContext doing("the scope");
    Scope scope("tasks");
    scope.spawn(middle(6), "six");
    co_await scope.join();
  }());
  EXPECT_THAT(error.context(), ElementsAre("step 6", "the scope"));
}

TEST(TaskErrorContext, ACallerOutsideOfThreadsCounts) {
  const ErrorContext doing("main");
  EXPECT_THAT(error_of(middle(1)).context(), ElementsAre("step 1", "main"));
}

TEST(TaskErrorContext, OtherTasksOfTheThreadDoNot) {
  const ErrorContext doing("main");
  block_on([]() -> Task<> {
    EXPECT_THAT(Error::from_errno(EIO).context(), IsEmpty());
    co_return;
  }());
}

TEST(TaskErrorContext, CallbacksAreToldWhoWaits) {
  const Error error = error_of([]() -> Task<> {
    const ErrorContext doing("waiting for a callback");
    auto [completer, done] = completion<>();
    completer.set_error(Error::from_errno(ENXIO));
    co_await std::move(done);
  }());
  EXPECT_THAT(error.context(), ElementsAre("waiting for a callback"))
      << "the error of a callback is told where it is awaited";
}

TEST(TaskErrorContext, ErrorsAsValuesHaveItToo) {
  block_on([]() -> Task<> {
    const ErrorContext doing("trying");
    const Result<> result = co_await as_result(fail_after_a_turn());
    EXPECT_THAT(result.error().context(), ElementsAre("trying"));
  }());
}

TEST(TaskErrorContext, ATimeoutKeepsTheInnerSteps) {
  const Error error = error_of([]() -> Task<> {
    const ErrorContext doing("outside");
    co_await with_timeout(1ms, []() -> Task<> {
      const ErrorContext inner("inside");
      co_await sleep_for(1h);
    }());
  }());
  EXPECT_EQ(error.code(), std::errc::timed_out);
  EXPECT_THAT(error.context(), ElementsAre("inside", "outside"));
}

TEST(TaskErrorContext, SynchronousTasksGiveItBack) {
  block_on([]() -> Task<> {
    for (int i = 0; i < 1000; ++i) {
      const Result<> result = co_await as_result([](int number) -> Task<> {
        const ErrorContext doing("{}", number);
        if (number >= 0) throw Error::from_errno(EIO);
        co_return;
      }(i));
      EXPECT_THAT(result.error().context(), ElementsAre(std::to_string(i)));
    }
    EXPECT_THAT(Error::from_errno(EIO).context(), IsEmpty());
  }());
}

}  // namespace
}  // namespace spdkio
