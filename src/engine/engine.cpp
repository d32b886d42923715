#include <spdkio/engine/engine.hpp>

#include <atomic>

namespace spdkio::engine {
namespace {
std::atomic<Engine*> running{nullptr};
}  // namespace

Engine& Engine::current() {
  Engine* engine = current_or_null();
  if (engine == nullptr) {
    throw Error(Misuse::not_started, "no engine is running").with_hint("start an Env or App first");
  }
  return *engine;
}

Engine* Engine::current_or_null() noexcept { return running.load(std::memory_order_acquire); }
void Engine::install(Engine* engine) noexcept { running.store(engine, std::memory_order_release); }

Task<> Engine::start_services() { co_return; }
Task<> Engine::stop_services() { co_return; }

}  // namespace spdkio::engine
