#include "nvme/tcp/send_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "nvme/tcp/socket_calls.hpp"

namespace spdkio::nvme::tcp {
namespace {

/// A socket that takes what a test lets it take.
struct FakeSocket {
  std::string taken;
  std::size_t most_per_call = SIZE_MAX;
  std::vector<int> errors;  ///< of the next calls, from the back
  int calls = 0;
};
FakeSocket* fake = nullptr;

ssize_t fake_sendmsg(int, const msghdr* message, int) {
  ++fake->calls;
  if (!fake->errors.empty()) {
    errno = fake->errors.back();
    fake->errors.pop_back();
    if (errno != 0) return -1;
  }
  std::size_t left = fake->most_per_call;
  std::size_t total = 0;
  for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
    const std::size_t size = std::min(left, message->msg_iov[i].iov_len);
    fake->taken.append(static_cast<const char*>(message->msg_iov[i].iov_base), size);
    left -= size;
    total += size;
  }
  return static_cast<ssize_t>(total);
}

class SendQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake = &socket_;
    socket_calls.sendmsg = fake_sendmsg;
  }
  void TearDown() override { socket_calls = {}; }
  void header(const std::string& text) {
    std::memcpy(queue_.add_header(text.size()), text.data(), text.size());
    expected_ += text;
  }
  void payload(const std::string& text) {
    queue_.add_payload(reinterpret_cast<const std::byte*>(text.data()), text.size());
    expected_ += text;
  }

  FakeSocket socket_;
  SendQueue queue_;
  std::string expected_;
};

struct Counter : SentNotice {
  Counter() {
    sent = [](SentNotice& notice) noexcept { ++static_cast<Counter&>(notice).calls; };
  }
  int calls = 0;
};

TEST_F(SendQueueTest, GatheredPiecesLeaveInOneCall) {
  const std::string data(4096, 'd');
  Counter counter;
  for (int i = 0; i < 60; ++i) {
    header("head" + std::to_string(i));
    payload(data);
  }
  queue_.add_notice(counter);
  EXPECT_EQ(queue_.flush(1), SendStatus::idle);
  EXPECT_EQ(socket_.calls, 1);
  EXPECT_EQ(socket_.taken, expected_);
  EXPECT_EQ(counter.calls, 1);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.bytes_queued(), 0u);
  EXPECT_EQ(queue_.bytes_sent(), expected_.size());
}

// Byte for byte, whatever the socket takes at a time, and while more is added; over many chunks of headers.
TEST_F(SendQueueTest, PartsOfAnySizeArriveInOrder) {
  const std::string data(777, 'p');
  for (const std::size_t most : {1u, 3u, 100u, 5000u}) {
    socket_.most_per_call = most;
    std::vector<Counter> counters(400);
    for (std::size_t i = 0; i < counters.size(); ++i) {
      header(std::string(1 + i % 200, static_cast<char>('a' + i % 26)));
      if (i % 3 != 0) payload(data);
      queue_.add_notice(counters[i]);
      if (i % 7 == 0) queue_.flush(1);
    }
    while (queue_.flush(1) != SendStatus::idle) {
    }
    EXPECT_EQ(socket_.taken, expected_);
    for (const Counter& counter : counters) EXPECT_EQ(counter.calls, 1);
  }
}

TEST_F(SendQueueTest, ErrorsOfTheSocket) {
  Counter counter;
  header("x");
  queue_.add_notice(counter);
  socket_.errors = {0, EINTR, EAGAIN};
  EXPECT_EQ(queue_.flush(1), SendStatus::blocked);
  EXPECT_EQ(counter.calls, 0);
  EXPECT_EQ(queue_.flush(1), SendStatus::idle);
  EXPECT_EQ(counter.calls, 1);
  header("y");
  queue_.add_notice(counter);
  socket_.errors = {EPIPE};
  EXPECT_EQ(queue_.flush(1), SendStatus::failed);
  EXPECT_EQ(queue_.send_errno(), EPIPE);
  queue_.clear();
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(counter.calls, 1);
}

TEST_F(SendQueueTest, PayloadIsAWindowOfAScatterList) {
  std::string first = "abcdef";
  std::string second = "ghij";
  const std::array<DmaSpan, 2> spans{
      DmaSpan::from_registered(reinterpret_cast<std::byte*>(first.data()), first.size()),
      DmaSpan::from_registered(reinterpret_cast<std::byte*>(second.data()), second.size())};
  queue_.add_payload(spans, 4, 4);
  queue_.add_payload(spans, 6, 4);
  queue_.add_payload(spans, 0, 1);
  EXPECT_EQ(queue_.flush(1), SendStatus::idle);
  EXPECT_EQ(socket_.taken, "efghghija");
}

}  // namespace
}  // namespace spdkio::nvme::tcp
