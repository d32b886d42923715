#include <spdkio/runtime/lcore.hpp>

#include <atomic>
#include <utility>

namespace spdkio {
namespace detail {
namespace {
std::atomic<CoreHost*> core_host{nullptr};
constinit thread_local std::int64_t this_core = -1;

CoreHost& require_host(const char* operation) {
  CoreHost* host = CoreHost::current();
  if (host == nullptr) throw Error(Misuse::not_started, "no engine is running").with_operation(operation);
  return *host;
}
}  // namespace

CoreHost* CoreHost::current() noexcept { return core_host.load(std::memory_order_acquire); }
void CoreHost::install(CoreHost* host) noexcept { core_host.store(host, std::memory_order_release); }
void CoreHost::set_current_core(std::int64_t core) noexcept { this_core = core; }
std::int64_t CoreHost::current_core() noexcept { return this_core; }

}  // namespace detail

std::vector<CoreId> Cores::all() { return detail::require_host("Cores::all").cores(); }
std::size_t Cores::count() { return all().size(); }
CoreId Cores::main() { return detail::require_host("Cores::main").main_core(); }

CoreId Cores::current() {
  const std::int64_t core = detail::CoreHost::current_core();
  if (core < 0) {
    throw Error(Misuse::wrong_thread, "this OS thread is no reactor").with_operation("Cores::current");
  }
  return CoreId{static_cast<std::uint32_t>(core)};
}

Result<> LcoreEvent::send(CoreId core, std::move_only_function<void()> fn) {
  detail::CoreHost* host = detail::CoreHost::current();
  if (host == nullptr) {
    return std::unexpected(Error(Misuse::not_started, "no engine is running").with_operation("LcoreEvent::send"));
  }
  return host->send_event(core, std::move(fn));
}

}  // namespace spdkio
