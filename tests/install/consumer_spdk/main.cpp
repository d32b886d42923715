// The spdk engine inside the program: it answers to its name, no module is loaded, and a device of SPDK's own is read.

#include <spdkio/engine/engine.hpp>
#include <spdkio/spdkio.hpp>

#include <link.h>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

using namespace spdkio;

void need(bool condition, const std::string& what) {
  if (!condition) throw Error{std::errc::state_not_recoverable, what};
}

int refuse_module(dl_phdr_info* info, std::size_t, void*) {
  return std::string_view(info->dlpi_name).find("libspdkio-engine-") != std::string_view::npos ? 1 : 0;
}

Task<> read_malloc() {
  engine::Engine& engine = engine::Engine::current();
  need(engine.name() == "spdk", "the engine is " + std::string(engine.name()));
  need(engine.version().starts_with("spdk "), "its version is " + engine.version());
  need(::dl_iterate_phdr(refuse_module, nullptr) == 0, "a module was loaded");
  // Asked of SPDK itself: a device that it made, not one of this library's that it sees.
  nlohmann::ordered_json whom = {{"name", "Malloc0"}};
  auto asked = engine.methods()->call("bdev_get_bdevs", std::move(whom));
  const nlohmann::ordered_json bdevs = co_await std::move(asked);
  const std::string product = bdevs.at(0).at("product_name");
  need(product == "Malloc disk", "the device is a " + product);

  auto disk = co_await BdevDesc::open("Malloc0", Access::read_write);
  {
    auto channel = disk.io_channel();
    DmaBuf out{4096};
    DmaBuf in{4096};
    out.fill(std::byte{0xAB});
    in.fill(std::byte{0});
    co_await disk.write(channel, out, ByteOffset{8192});
    co_await disk.read(channel, in, ByteOffset{8192});
    need(in.bytes().back() == std::byte{0xAB}, "what was read is not what was written");
  }
  co_await disk.close();
  std::printf("consumer: ok, %s\n", engine.version().c_str());
}

int main() {
  AppOptions options;
  options.name = "consumer";
  options.engine = "spdk";
  options.no_pci = true;
  options.no_huge = true;
  options.json_data = R"({"subsystems":[{"subsystem":"bdev","config":[
      {"method":"bdev_malloc_create","params":{"name":"Malloc0","num_blocks":8192,"block_size":512}}]}]})";
  return App::run(std::move(options), read_malloc);
}
