#include <spdkio/bdev/bdev.hpp>

#include <spdkio/bdev/service.hpp>
#include <spdkio/engine/engine.hpp>

#include <utility>

namespace spdkio {

bdev::Service& bdev::Service::current() { return engine::Engine::current().bdevs(); }

std::optional<Bdev> Bdev::find(std::string_view name) {
  auto state = bdev::Service::current().find(name);
  if (state == nullptr) return std::nullopt;
  return Bdev{std::move(state)};
}

std::vector<Bdev> Bdev::all() {
  std::vector<Bdev> bdevs;
  for (auto& state : bdev::Service::current().list()) bdevs.emplace_back(std::move(state));
  return bdevs;
}

}  // namespace spdkio
