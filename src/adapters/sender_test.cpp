// Senders of awaitables and of a Thread, with receivers that have nothing but what the standard asks of one.
#include <spdkio/adapters/sender.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/event.hpp>
#include <spdkio/runtime/frame_cache.hpp>

#include <atomic>
#include <concepts>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

#include "adapters/test_tasks.hpp"
#include "runtime/test_support.hpp"

namespace spdkio {
namespace {

using namespace adapters_test;
using namespace runtime_test;

struct Env {
  std::stop_token token;
  std::stop_token query(execution::get_stop_token_t) const noexcept { return token; }
};

struct Stopped {};

/// What a receiver was told, how often, and where.
template <class T>
struct Told {
  std::variant<std::monostate, T, std::exception_ptr, Stopped> what;
  std::atomic<int> times = 0;
  ThreadHandle where;

  void note() {
    if (CurrentThread::exists()) where = CurrentThread::handle();
    ++times;
  }
  bool value() const { return what.index() == 1; }
  bool stopped() const { return what.index() == 3; }
  std::optional<Error> error() const {
    if (what.index() != 2) return std::nullopt;
    return detail::error_from(std::get<2>(what));
  }
};

template <class T>
class Receiver {
 public:
  using receiver_concept = execution::receiver_t;
  explicit Receiver(Told<T>& told, std::stop_token token = {}) : told_(&told), token_(std::move(token)) {}
  Receiver(Receiver&&) = default;
  template <class... V>
  void set_value(V&&... value) && noexcept {
    if constexpr (sizeof...(V) == 0) {
      told_->what.template emplace<1>();
    } else {
      told_->what.template emplace<1>(std::forward<V>(value)...);
    }
    told_->note();
  }
  void set_error(std::exception_ptr failure) && noexcept {
    told_->what.template emplace<2>(std::move(failure));
    told_->note();
  }
  void set_stopped() && noexcept {
    told_->what.template emplace<3>();
    told_->note();
  }
  Env get_env() const noexcept { return Env{token_}; }

 private:
  Told<T>* told_;
  std::stop_token token_;
};

/// A receiver without an environment.
struct PlainReceiver {
  using receiver_concept = execution::receiver_t;
  int* value;
  void set_value(int result) && noexcept { *value = result; }
  void set_error(std::exception_ptr) && noexcept { *value = -1; }
  void set_stopped() && noexcept { *value = -2; }
};

using AnswerSender = decltype(as_sender(answer(1)));
static_assert(std::derived_from<AnswerSender::sender_concept, execution::sender_t>);
static_assert(std::same_as<
              AnswerSender::completion_signatures,
              execution::completion_signatures<execution::set_value_t(int), execution::set_error_t(std::exception_ptr),
                                               execution::set_stopped_t()>>);
static_assert(
    std::same_as<decltype(as_sender(nap(1s)))::completion_signatures,
                 execution::completion_signatures<execution::set_value_t(), execution::set_error_t(std::exception_ptr),
                                                  execution::set_stopped_t()>>);
static_assert(std::copyable<ThreadScheduler> && std::equality_comparable<ThreadScheduler>);
static_assert(!std::copy_constructible<AnswerSender> && std::move_constructible<AnswerSender>);
static_assert(noexcept(std::declval<decltype(as_sender(answer(1)).connect(std::declval<PlainReceiver>()))&>().start()));

class Sender : public ::testing::Test {
 protected:
  template <class T>
  void run_until_told(const Told<T>& told) {
    thread.run_until([&] { return told.times != 0; });
    EXPECT_EQ(told.times, 1);
  }
  Thread thread = Thread::attach("home");
};

TEST_F(Sender, ValuesOfTasksAndOperations) {
  Told<int> told;
  auto operation = as_sender(answer(42)).connect(Receiver<int>(told));
  EXPECT_EQ(told.times, 0);
  operation.start();
  EXPECT_EQ(told.times, 0) << "never inside start";
  run_until_told(told);
  EXPECT_EQ(std::get<int>(told.what), 42);
  EXPECT_EQ(told.where, thread.handle());

  Told<std::monostate> nothing;
  auto wait = as_sender(sleep_for(1us)).connect(Receiver<std::monostate>(nothing));
  wait.start();
  run_until_told(nothing);
  EXPECT_TRUE(nothing.value());

  int value = 0;
  auto plain = as_sender(answer(3)).connect(PlainReceiver{.value = &value});
  plain.start();
  thread.run_until([&] { return value != 0; });
  EXPECT_EQ(value, 3);
}

struct Destroyer {
  using receiver_concept = execution::receiver_t;
  std::shared_ptr<void>* operation;
  std::string* result;
  void set_value(std::string text) && noexcept {
    auto* const kept = result;
    operation->reset();
    *kept = std::move(text);
  }
  void set_error(std::exception_ptr) && noexcept {}
  void set_stopped() && noexcept {}
};

TEST_F(Sender, TheReceiverMayDestroyTheOperationState) {
  std::shared_ptr<void> owned;
  std::string result;
  auto text = []() -> Task<std::string> { co_return "a text that is longer than any small string would be"; };
  auto sender = as_sender(text());
  using Operation = decltype(std::move(sender).connect(Destroyer{&owned, &result}));
  struct Box {
    Operation operation;
  };
  auto box = std::shared_ptr<Box>(new Box{std::move(sender).connect(Destroyer{&owned, &result})});
  auto& operation = box->operation;
  owned = std::move(box);
  operation.start();
  thread.run_until([&] { return owned == nullptr; });
  EXPECT_EQ(result.size(), 52u);
}

TEST_F(Sender, TheWholeErrorIsSent) {
  Told<std::monostate> told;
  auto fails = []() -> Task<> {
    co_await yield();
    Error error(std::errc::io_error);
    throw std::move(error).with_device("disk0");
  };
  auto operation = as_sender(fails()).connect(Receiver<std::monostate>(told));
  operation.start();
  run_until_told(told);
  ASSERT_TRUE(told.error());
  EXPECT_EQ(told.error()->device(), "disk0");
}

TEST_F(Sender, AStopRequestOnTheSameThread) {
  std::stop_source source;
  Told<std::monostate> told;
  auto operation = as_sender(nap(1h)).connect(Receiver<std::monostate>(told, source.get_token()));
  operation.start();
  thread.poll();
  source.request_stop();
  run_until_told(told);
  EXPECT_TRUE(told.stopped());
}

TEST_F(Sender, AStopRequestBeforeTheStart) {
  std::stop_source source;
  source.request_stop();
  Told<std::monostate> told;
  auto operation = as_sender(nap(1h)).connect(Receiver<std::monostate>(told, source.get_token()));
  operation.start();
  run_until_told(told);
  EXPECT_TRUE(told.stopped());
}

TEST_F(Sender, StopRequestsFromAnotherOsThreadAtAnyMoment) {
  // Some come before the end, some after it, some while it is told.
  constexpr int count = 300;
  int stopped = 0;
  for (int i = 0; i < count; ++i) {
    std::stop_source source;
    Told<std::monostate> told;
    using Operation = decltype(as_sender(nap(1us)).connect(std::declval<Receiver<std::monostate>>()));
    auto operation = std::unique_ptr<Operation>(new Operation(
        as_sender(nap(std::chrono::microseconds(i % 50))).connect(Receiver<std::monostate>(told, source.get_token()))));
    operation->start();
    std::jthread other([&] { source.request_stop(); });
    run_until_told(told);
    EXPECT_TRUE(told.value() || told.stopped());
    stopped += told.stopped() ? 1 : 0;
    operation.reset();
  }
  RecordProperty("stopped", stopped);
}

TEST_F(Sender, CancelledForAnotherReasonIsAnError) {
  Told<std::monostate> told;
  auto operation = as_sender(nap(1h)).connect(Receiver<std::monostate>(told));
  operation.start();
  thread.poll();
  thread.close();
  ASSERT_TRUE(told.error());
  EXPECT_TRUE(is_cancelled(*told.error()));
}

TEST_F(Sender, StoppedErrorsCanBeKeptAsValues) {
  std::stop_source source;
  Told<Result<>> told;
  auto operation = as_sender(as_result(nap(1h))).connect(Receiver<Result<>>(told, source.get_token()));
  operation.start();
  thread.poll();
  source.request_stop();
  run_until_told(told);
  ASSERT_TRUE(told.value());
  EXPECT_EQ(std::get<1>(told.what).error().outcome(), Outcome::never_submitted);
}

TEST(SenderElsewhere, OutsideOfAThreadItIsAnError) {
  Told<int> told;
  auto operation = as_sender(answer(1)).connect(Receiver<int>(told));
  operation.start();
  ASSERT_TRUE(told.error());
  EXPECT_EQ(told.error()->code(), Misuse::wrong_thread);
}

TEST_F(Sender, ScheduleCompletesOnTheThread) {
  OsThread other;
  const ThreadScheduler scheduler(other.handle());
  EXPECT_EQ(scheduler, ThreadScheduler(other.handle()));
  EXPECT_NE(scheduler, ThreadScheduler(thread.handle()));
  EXPECT_EQ(scheduler.schedule().get_env().query(execution::get_completion_scheduler<execution::set_value_t>),
            scheduler);
  Told<std::monostate> told;
  auto operation = scheduler.schedule().connect(Receiver<std::monostate>(told));
  operation.start();
  while (told.times == 0) std::this_thread::yield();
  other.stop();
  EXPECT_TRUE(told.value());
  EXPECT_EQ(told.where, other.handle());
}

TEST_F(Sender, ScheduleOnAStoppedTokenOrAnEndedThread) {
  std::stop_source source;
  source.request_stop();
  Told<std::monostate> stopped;
  const ThreadScheduler scheduler(thread.handle());
  auto first = scheduler.schedule().connect(Receiver<std::monostate>(stopped, source.get_token()));
  first.start();
  run_until_told(stopped);
  EXPECT_TRUE(stopped.stopped());

  thread.close();
  Told<std::monostate> refused;
  auto second = scheduler.schedule().connect(Receiver<std::monostate>(refused));
  second.start();
  ASSERT_TRUE(refused.error());
  EXPECT_EQ(refused.error()->code(), std::errc::no_such_process);
  Told<std::monostate> nowhere;
  auto third = ThreadScheduler(ThreadHandle()).schedule().connect(Receiver<std::monostate>(nowhere));
  third.start();
  ASSERT_TRUE(nowhere.error());
  EXPECT_EQ(nowhere.error()->code(), Misuse::invalid_argument);
}

/// What let_value does: the sender of the operation is made, and started, where schedule completed.
struct Then {
  using receiver_concept = execution::receiver_t;
  using Second = decltype(as_sender(answer(1)).connect(std::declval<Receiver<int>>()));
  Told<int>* told;
  std::optional<Second>* second;
  void set_value() && noexcept {
    struct Connect {
      Told<int>& told;
      operator Second() const { return as_sender(answer(11)).connect(Receiver<int>(told)); }
    };
    second->emplace(Connect{*told});
    (*second)->start();
  }
  void set_error(std::exception_ptr failure) && noexcept { Receiver<int>(*told).set_error(std::move(failure)); }
  void set_stopped() && noexcept { Receiver<int>(*told).set_stopped(); }
};

TEST_F(Sender, ScheduleThenAwait) {
  OsThread other;
  Told<int> told;
  std::optional<Then::Second> second;
  auto first = ThreadScheduler(other.handle()).schedule().connect(Then{.told = &told, .second = &second});
  first.start();
  while (told.times == 0) std::this_thread::yield();
  other.stop();
  ASSERT_TRUE(told.value());
  EXPECT_EQ(std::get<1>(told.what), 11);
  EXPECT_EQ(told.where, other.handle());
}

}  // namespace
}  // namespace spdkio
