// The library in a loop of the program's own over epoll: one descriptor more, and callbacks. See foreign_loop for the
// same without FdDriver.

#include <spdkio/adapters/fd_driver.hpp>
#include <spdkio/spdkio.hpp>

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

using namespace spdkio;

/// Reads block after block; each callback starts the next read.
class Reader {
 public:
  Reader(FdDriver& driver, BdevDesc& disk) : driver_(driver), disk_(disk), channel_(disk.io_channel()) {}
  void next() {
    const LbaRange block{Lba{reads_}, BlockCount{1}};
    driver_.start(disk_.read(channel_, buffer_, block), [this](Result<> read) { ended(read); });
  }
  int reads() const { return static_cast<int>(reads_); }

 private:
  void ended(const Result<>& read) {
    if (!read) {
      std::fprintf(stderr, "epoll: %s\n", read.error().what());
      return;
    }
    if (++reads_ < 100) next();
  }
  FdDriver& driver_;
  BdevDesc& disk_;
  IoChannel channel_;
  DmaBuf buffer_{512};
  std::uint64_t reads_ = 0;
};

void watch(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) throw Error::from_errno(errno, "epoll_ctl");
}

int run() {
  Env env = Env::start({.name = "epoll"});
  Thread storage = Thread::attach("storage");
  block_on(bdev::create_malloc({.name = "Disk", .num_blocks = 1024}));
  BdevDesc disk = block_on(BdevDesc::open("Disk"));

  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  const UniqueFd ticker(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  const itimerspec every_millisecond{.it_interval = {.tv_nsec = 1'000'000}, .it_value = {.tv_nsec = 1'000'000}};
  ::timerfd_settime(ticker.get(), 0, &every_millisecond, nullptr);

  int reads = 0;
  int ticks = 0;
  {
    FdDriver driver(storage);
    watch(epoll.get(), ticker.get());
    watch(epoll.get(), driver.fd());
    Reader reader(driver, disk);
    reader.next();
    while (driver.in_flight() != 0 || ticks < 3) {
      epoll_event ready;
      if (::epoll_wait(epoll.get(), &ready, 1, -1) != 1) continue;
      if (ready.data.fd == driver.fd()) {
        driver.dispatch();
      } else {
        std::uint64_t expirations = 0;
        if (::read(ticker.get(), &expirations, sizeof expirations) == sizeof expirations) ++ticks;
      }
    }
    reads = reader.reads();
  }

  block_on(disk.close());
  block_on(bdev::delete_malloc("Disk"));
  storage.close();
  env.stop();
  std::printf("epoll: %d reads beside a ticking timer\n", reads);
  return EXIT_SUCCESS;
}

int main() {
  try {
    return run();
  } catch (const Error& error) {
    std::fprintf(stderr, "epoll: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
