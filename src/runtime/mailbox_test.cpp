#include <spdkio/runtime/mailbox.hpp>

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/test_support.hpp"

namespace spdkio::detail {
namespace {

using ::testing::ElementsAre;

struct Note : Message {
  Note(std::vector<int>& to, int value) : notes(to), id(value) {}
  void run() noexcept override { notes.push_back(id); }
  void abandon() noexcept override { notes.push_back(-id); }
  std::vector<int>& notes;
  int id;
};

std::shared_ptr<Mailbox> make_mailbox() { return std::make_shared<Mailbox>(ThreadId{1}, "box"); }

bool readable(const Mailbox& mailbox, int timeout_ms = 0) {
  pollfd fd{.fd = mailbox.event_fd(), .events = POLLIN, .revents = 0};
  return ::poll(&fd, 1, timeout_ms) == 1;
}

TEST(Mailbox, RunsMessagesInOrder) {
  std::vector<int> notes;
  const auto mailbox = make_mailbox();
  Note a(notes, 1);
  Note b(notes, 2);
  Note c(notes, 3);
  EXPECT_TRUE(mailbox->empty());
  EXPECT_EQ(mailbox->drain(), 0u);
  EXPECT_TRUE(mailbox->push(a));
  EXPECT_TRUE(mailbox->push(b));
  EXPECT_TRUE(mailbox->push(c));
  EXPECT_FALSE(mailbox->empty());
  EXPECT_EQ(mailbox->drain(), 3u);
  EXPECT_THAT(notes, ElementsAre(1, 2, 3));
  EXPECT_EQ(mailbox->name(), "box");
}

struct Again : Message {
  explicit Again(Mailbox& to) : mailbox(to) {}
  void run() noexcept override {
    ++runs;
    mailbox.push(*this);
  }
  void abandon() noexcept override {}
  Mailbox& mailbox;
  int runs = 0;
};

TEST(Mailbox, AMessageMaySendItselfAgainWithoutKeepingTheDrainBusy) {
  const auto mailbox = make_mailbox();
  Again again(*mailbox);
  mailbox->push(again);
  EXPECT_EQ(mailbox->drain(), 1u);
  EXPECT_EQ(mailbox->drain(), 1u);
  EXPECT_EQ(again.runs, 2);
  mailbox->close();
}

TEST(Mailbox, ClosedRefusesAndAbandonsWhatIsLeftInOrder) {
  std::vector<int> notes;
  const auto mailbox = make_mailbox();
  Note a(notes, 1);
  Note b(notes, 2);
  Note late(notes, 3);
  mailbox->push(a);
  mailbox->push(b);
  mailbox->close();
  mailbox->close();
  EXPECT_THAT(notes, ElementsAre(-1, -2));
  EXPECT_TRUE(mailbox->closed());
  EXPECT_EQ(mailbox->state(), ThreadState::exited);
  EXPECT_FALSE(mailbox->push(late));
  mailbox->start_exiting();
  EXPECT_EQ(mailbox->state(), ThreadState::exited);  // never goes back
}

TEST(Mailbox, ArmedIsReadableAfterAPushAndOnlyThen) {
  std::vector<int> notes;
  const auto mailbox = make_mailbox();
  Note a(notes, 1);
  Note b(notes, 2);
  mailbox->push(a);
  EXPECT_FALSE(mailbox->arm());  // there is something to do
  EXPECT_FALSE(readable(*mailbox));
  mailbox->drain();
  EXPECT_TRUE(mailbox->arm());
  EXPECT_FALSE(readable(*mailbox));
  mailbox->push(b);
  EXPECT_TRUE(readable(*mailbox));
  mailbox->disarm();
  EXPECT_FALSE(readable(*mailbox));
  mailbox->drain();
  EXPECT_TRUE(mailbox->arm());
  mailbox->disarm();
  EXPECT_FALSE(readable(*mailbox));
}

TEST(Mailbox, ASignalLastsUntilTheNextArm) {
  const auto mailbox = make_mailbox();
  mailbox->signal();
  mailbox->signal();
  EXPECT_TRUE(readable(*mailbox));
  EXPECT_TRUE(mailbox->arm());
  EXPECT_FALSE(readable(*mailbox));
  mailbox->wake();
  EXPECT_TRUE(readable(*mailbox));
  mailbox->disarm();
  EXPECT_FALSE(readable(*mailbox));
  mailbox->wake();  // nobody sleeps
  EXPECT_FALSE(readable(*mailbox));
}

TEST(Mailbox, TellsOthersWhenItsThreadHasEnded) {
  std::vector<int> notes;
  const auto ending = make_mailbox();
  const auto waiting = make_mailbox();
  Note note(notes, 1);
  EXPECT_TRUE(ending->notify_exit(note, waiting));
  std::thread closer([&] { ending->close(); });
  ending->wait_exited();
  closer.join();
  waiting->drain();
  EXPECT_THAT(notes, ElementsAre(1));
  EXPECT_FALSE(ending->notify_exit(note, waiting));
}

// Two OS threads send each other one message at a time and sleep in between, so that every push meets an arm.
TEST(Mailbox, NoWakeUpIsLostBetweenArmAndPush) {
  const int rounds = runtime_test::sanitized ? 3'000 : 20'000;
  struct Ball : Message {
    void run() noexcept override { ++received; }
    void abandon() noexcept override {}
    int received = 0;
  };
  const auto left = make_mailbox();
  const auto right = make_mailbox();
  Ball to_left;
  Ball to_right;
  std::atomic<bool> lost{false};
  auto play = [&](Mailbox& mine, Ball& ball, Mailbox& theirs, Ball& answer, bool serves) {
    if (serves) theirs.push(answer);
    for (int i = 1; i <= rounds && !lost; ++i) {
      while (ball.received < i) {
        if (mine.arm()) {
          const bool woken = readable(mine, 20'000);
          mine.disarm();
          if (!woken && mine.empty()) {
            lost = true;
            return;
          }
        }
        mine.drain();
      }
      if (i < rounds || !serves) theirs.push(answer);
    }
  };
  std::thread other([&] { play(*right, to_right, *left, to_left, false); });
  play(*left, to_left, *right, to_right, true);
  other.join();
  EXPECT_FALSE(lost);
  EXPECT_EQ(to_left.received, rounds);
  EXPECT_EQ(to_right.received, rounds);
}

// Many push while one sleeps, wakes and arms again: every message arrives, and an idle descriptor is quiet in the end.
TEST(Mailbox, ManyPushersAndASleeper) {
  const int per_pusher = runtime_test::sanitized ? 3'000 : 30'000;
  constexpr int pushers = 3;
  struct Counter final : Message {
    void run() noexcept override {
      ++*count;
      delete this;
    }
    void abandon() noexcept override { delete this; }
    int* count = nullptr;
  };
  const auto mailbox = make_mailbox();
  int count = 0;
  std::vector<std::thread> threads;
  for (int p = 0; p < pushers; ++p) {
    threads.emplace_back([&] {
      for (int i = 0; i < per_pusher; ++i) {
        auto* message = new Counter;
        message->count = &count;
        mailbox->push(*message);
      }
    });
  }
  while (count < pushers * per_pusher) {
    if (mailbox->arm()) {
      readable(*mailbox, 20'000);
      mailbox->disarm();
    }
    mailbox->drain();
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, pushers * per_pusher);
  // A pusher that was late with its write causes one more wake-up, and no second one.
  if (mailbox->arm()) {
    readable(*mailbox);
    mailbox->disarm();
  }
  EXPECT_TRUE(mailbox->arm());
  EXPECT_FALSE(readable(*mailbox));
  mailbox->disarm();
}

TEST(Mailbox, PushesRaceWithTheClose) {
  for (int round = 0; round < 200; ++round) {
    const auto mailbox = make_mailbox();
    std::atomic<int> handled{0};
    struct Counter final : Message {
      explicit Counter(std::atomic<int>& to) : count(to) {}
      void run() noexcept override { ++count; }
      void abandon() noexcept override { ++count; }
      std::atomic<int>& count;
    };
    std::vector<std::unique_ptr<Counter>> messages;
    for (int i = 0; i < 20; ++i) messages.push_back(std::make_unique<Counter>(handled));
    int taken = 0;
    std::thread pusher([&] {
      for (auto& message : messages) taken += mailbox->push(*message) ? 1 : 0;
    });
    mailbox->drain();
    mailbox->close();
    pusher.join();
    EXPECT_EQ(handled, taken);  // each that was taken is run or abandoned, the others neither
  }
}

}  // namespace
}  // namespace spdkio::detail
