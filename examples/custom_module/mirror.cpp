// A block device of your own: a mirror over two others. Writes go to both halves at once; a read that fails on the
// first half is answered by the second.

#include <spdkio/bdev/coroutine_device.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/spdkio.hpp>

#include <algorithm>
#include <cstdio>

using namespace spdkio;

class Mirror final : public bdev::CoroutineDevice {
 public:
  Mirror(std::string name, BdevDesc first, BdevDesc second)
      : CoroutineDevice(std::move(name), "Mirror", first.bdev().geometry(),
                        {bdev::IoType::read, bdev::IoType::write, bdev::IoType::unmap, bdev::IoType::flush}),
        first_(std::move(first)),
        second_(std::move(second)) {}

  /// Descriptors are shared by all Threads, channels are not.
  struct Channels final : bdev::DeviceThreadState {
    explicit Channels(const Mirror& mirror) : first(mirror.first_.io_channel()), second(mirror.second_.io_channel()) {}
    IoChannel first;
    IoChannel second;
  };
  std::unique_ptr<bdev::DeviceThreadState> make_thread_state() override { return std::make_unique<Channels>(*this); }

  Task<> serve(bdev::IoRequest& io) override {
    auto& half = io.thread_state<Channels>();
    const IoOptions options{.metadata = io.metadata(), .fua = io.fua()};
    switch (io.type()) {
      case bdev::IoType::read: {
        const auto from_first = co_await as_result(first_.read(half.first, io.buffers(), io.range(), options));
        if (!from_first) co_await second_.read(half.second, io.buffers(), io.range(), options);
        break;
      }
      case bdev::IoType::write:
        co_await when_all(first_.write(half.first, io.buffers(), io.range(), options),
                          second_.write(half.second, io.buffers(), io.range(), options));
        break;
      case bdev::IoType::unmap:
        co_await when_all(first_.unmap(half.first, io.range()), second_.unmap(half.second, io.range()));
        break;
      default: co_await when_all(first_.flush(half.first), second_.flush(half.second)); break;
    }
  }

  Task<> shut_down() override {
    co_await first_.close();
    co_await second_.close();
  }

 private:
  BdevDesc first_;
  BdevDesc second_;
};

Task<> use_mirror() {
  co_await bdev::create_malloc({.name = "A", .num_blocks = 1024});
  co_await bdev::create_error({.base = "A", .name = "FailingA"});
  co_await bdev::create_malloc({.name = "B", .num_blocks = 1024});
  BdevDesc first = co_await BdevDesc::open("FailingA", Access::read_write);
  BdevDesc second = co_await BdevDesc::open("B", Access::read_write);
  auto device = std::make_unique<Mirror>("Mirror0", std::move(first), std::move(second));
  co_await bdev::Service::current().register_device(std::move(device));

  BdevDesc mirror = co_await BdevDesc::open("Mirror0", Access::read_write);
  bool same = false;
  {
    IoChannel channel = mirror.io_channel();
    DmaBuf data{64 * 512};
    DmaBuf found{64 * 512};
    data.fill(std::byte{0x5A});
    co_await mirror.write(channel, data, ByteOffset{0});
    bdev::inject_error("FailingA", {.type = bdev::IoType::read, .count = UINT64_MAX});
    for (std::uint64_t block = 0; block < 64; ++block) {
      co_await mirror.read(channel, found.subspan(block * 512, 512), LbaRange{Lba{block}, BlockCount{1}});
    }
    same = std::ranges::equal(data.bytes(), found.bytes());
  }
  co_await mirror.close();
  if (!same) throw Error(std::errc::io_error, "the halves differ");
  std::puts("mirror: 64 blocks read from the second half after the first failed");
}

int main() { return App::run({.name = "mirror"}, use_mirror); }
