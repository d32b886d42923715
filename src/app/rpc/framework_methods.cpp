// framework_*, spdk_get_version, spdk_kill_instance.
#include <spdkio/app/app.hpp>
#include <spdkio/base/clock.hpp>
#include <spdkio/engine/engine.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/params.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/completion.hpp>
#include <spdkio/runtime/lcore.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <numa.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/app_runtime.hpp"
#include "app/rpc/methods.hpp"
#include "app/rpc/thread_report.hpp"

namespace spdkio::app {

enum class KillSignal : int {
  interrupt = SIGINT,
  terminate = SIGTERM,
  quit = SIGQUIT,
  hang_up = SIGHUP,
  kill = SIGKILL,
  user1 = SIGUSR1
};
/// SPDK's decoder takes the names with and without SIG, and the numbers as text.
std::span<const rpc::EnumName<KillSignal>> rpc_names(KillSignal) {
  static constexpr std::array<rpc::EnumName<KillSignal>, 18> names{{
      {"SIGINT", KillSignal::interrupt},
      {"SIGTERM", KillSignal::terminate},
      {"SIGQUIT", KillSignal::quit},
      {"SIGHUP", KillSignal::hang_up},
      {"SIGKILL", KillSignal::kill},
      {"SIGUSR1", KillSignal::user1},
      {"INT", KillSignal::interrupt},
      {"TERM", KillSignal::terminate},
      {"QUIT", KillSignal::quit},
      {"HUP", KillSignal::hang_up},
      {"KILL", KillSignal::kill},
      {"USR1", KillSignal::user1},
      {"2", KillSignal::interrupt},
      {"15", KillSignal::terminate},
      {"3", KillSignal::quit},
      {"1", KillSignal::hang_up},
      {"9", KillSignal::kill},
      {"10", KillSignal::user1},
  }};
  return names;
}

namespace {

struct KillInstance {
  KillSignal signal = KillSignal::terminate;
  void fields(rpc::Params& p) { p.required("sig_name", &signal, "Signal to send to this process"); }
};

/// SIGINT and SIGTERM mean a stop in order, whoever handles the signals of this process.
Task<Json> kill_instance(KillInstance wanted) {
  if (wanted.signal == KillSignal::interrupt || wanted.signal == KillSignal::terminate) {
    App::request_stop();
  } else if (::kill(::getpid(), std::to_underlying(wanted.signal)) != 0) {
    throw Error::from_errno(errno, "cannot send the signal");
  }
  co_return true;
}

std::uint32_t number_at(std::string_view version, int part) {
  for (; part > 0; --part) version.remove_prefix(std::min(version.find('.'), version.size() - 1) + 1);
  std::uint32_t number = 0;
  std::from_chars(version.data(), version.data() + version.size(), number);
  return number;
}

Task<Json> get_version() {
  constexpr std::string_view version = SPDKIO_VERSION;
  const Json fields = {{"major", number_at(version, 0)},
                       {"minor", number_at(version, 1)},
                       {"patch", number_at(version, 2)},
                       {"suffix", ""}};
  Json out = {{"version", "spdk-io v" + std::string(version)}, {"fields", fields}};
  co_return out;
}

struct CoreTimes {
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  std::uint64_t irq = 0;
};

/// What the kernel accounted to a core since it started, in clock ticks; zeros when it does not tell.
CoreTimes core_times(unsigned core) {
  std::ifstream stat("/proc/stat");
  const std::string label = "cpu" + std::to_string(core);
  for (std::string line; std::getline(stat, line);) {
    std::istringstream fields(line);
    std::string name;
    std::array<std::uint64_t, 7> values{};  // user nice system idle iowait irq softirq
    fields >> name;
    if (name != label) continue;
    for (auto& value : values) fields >> value;
    return {.user = values[0], .system = values[2], .irq = values[5]};
  }
  return {};
}

/// The id of the reactor's OS thread.
Task<pid_t> reactor_tid(CoreId core) {
  auto [completer, done] = completion<pid_t>();
  const Result<> sent = LcoreEvent::send(
      core, [answer = std::move(completer)]() mutable { answer.set_value(static_cast<pid_t>(::gettid())); });
  if (!sent) throw Error(sent.error());
  co_return co_await std::move(done);
}

Task<Json> get_reactors() {
  Json reactors = Json::array();
  for (const engine::ReactorInfo& info : engine::Engine::current().reactors().info()) {
    const unsigned core = std::to_underlying(info.core);
    const CoreTimes times = core_times(core);
    const int numa_node = ::numa_available() < 0 ? 0 : ::numa_node_of_cpu(static_cast<int>(core));
    const pid_t tid = co_await reactor_tid(info.core);
    Json threads = Json::array();
    for (const ThreadHandle& thread : info.threads) {
      const std::optional<ThreadReport> report = co_await report_thread(thread);
      if (!report) continue;
      threads.push_back({{"name", thread.name()},
                         {"id", std::to_underlying(thread.id())},
                         {"cpumask", report->cpumask},
                         {"elapsed", report->stats.busy_ticks + report->stats.idle_ticks}});
    }
    reactors.push_back({{"lcore", core},
                        {"numa_id", numa_node},
                        {"tid", tid},
                        {"busy", info.busy_ticks},
                        {"idle", info.idle_ticks},
                        {"in_interrupt", info.sleeping},
                        {"irq", times.irq},
                        {"sys", times.system},
                        {"usr", times.user},
                        {"lw_threads", std::move(threads)}});
  }
  Json out = {{"tick_rate", ticks_per_second()}, {"pid", ::getpid()}};
  out["reactors"] = std::move(reactors);
  co_return out;
}

Task<Json> start_init(detail::AppRuntime& app) {
  co_await app.start_init();
  co_return true;
}

Task<Json> wait_init(detail::AppRuntime& app) {
  co_await app.wait_init();
  co_return true;
}

}  // namespace

void register_framework_methods(rpc::MethodTable& table, detail::AppRuntime& app) {
  table.add("spdk_get_version", "Name and version of this library", get_version, rpc::RpcStates::always);
  table.add<KillInstance>("spdk_kill_instance", "Send a signal to this process", kill_instance);
  table.add("framework_get_reactors", "Reactors, their threads, and how busy they are", get_reactors);
  table.add(
      "framework_start_init", "Go on with the start that waits for it", [&app] { return start_init(app); },
      rpc::RpcStates::startup);
  table.add(
      "framework_wait_init", "Wait until the application has started", [&app] { return wait_init(app); },
      rpc::RpcStates::always);
}

}  // namespace spdkio::app
