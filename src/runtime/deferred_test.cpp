#include <spdkio/runtime/thread.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace spdkio::detail {
namespace {

using ::testing::ElementsAre;

struct Work final : Deferred {
  Work(std::vector<int>& done, int number) : done(done), number(number) {
    run = [](Deferred& deferred) noexcept -> std::size_t {
      auto& self = static_cast<Work&>(deferred);
      self.done.push_back(self.number);
      if (self.ends != nullptr) self.ends->reset();
      return 1;
    };
  }
  std::vector<int>& done;
  int number;
  std::unique_ptr<Work>* ends = nullptr;  ///< what it destroys
};

class DeferredTest : public ::testing::Test {
 protected:
  DeferredTest() {
    for (int i = 0; i < 4; ++i) work_.push_back(std::make_unique<Work>(done_, i));
  }
  void defer_all() {
    for (auto& work : work_) ThreadCore::current()->defer(*work);
  }
  Thread thread_ = Thread::attach("deferred");
  std::vector<int> done_;
  std::vector<std::unique_ptr<Work>> work_;
};

TEST_F(DeferredTest, RunsOnceInOrder) {
  defer_all();
  defer_all();
  thread_.poll();
  EXPECT_THAT(done_, ElementsAre(0, 1, 2, 3));
  thread_.poll();
  EXPECT_EQ(done_.size(), 4u);
}

TEST_F(DeferredTest, WhatGoesAwayWhileItIsQueuedIsNotDone) {
  defer_all();
  work_[1] = nullptr;
  work_[3] = nullptr;
  Work last(done_, 9);
  ThreadCore::current()->defer(last);
  thread_.poll();
  EXPECT_THAT(done_, ElementsAre(0, 2, 9));
}

TEST_F(DeferredTest, MayDestroyOthersOfTheSameRoundAndItself) {
  work_[0]->ends = &work_[1];
  work_[2]->ends = &work_[2];
  defer_all();
  thread_.poll();
  EXPECT_THAT(done_, ElementsAre(0, 2, 3));
}

}  // namespace
}  // namespace spdkio::detail
