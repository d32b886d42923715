#include <spdkio/app/env.hpp>

#include <spdkio/base/clock.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/service.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <atomic>
#include <string>
#include <utility>

#include "app/bdev_removal.hpp"
#include "app/engines.hpp"
#include "app/env_access.hpp"

namespace spdkio {
namespace {

std::atomic<bool> env_exists{false};

/// Holds the place of the one Env until `keep`.
class Claim {
 public:
  Claim() {
    if (env_exists.exchange(true)) {
      throw Error(Misuse::already_started, "an Env or App is running in this process already")
          .with_operation("Env::start")
          .with_hint("stop it first");
    }
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() {
    if (!kept_) env_exists = false;
  }
  void keep() noexcept { kept_ = true; }

 private:
  bool kept_ = false;
};

}  // namespace

Env::Env(EnvOptions options, std::unique_ptr<engine::Engine> engine) noexcept
    : options_(std::move(options)), engine_(std::move(engine)) {}

Env::Env(Env&& other) noexcept = default;

Env& Env::operator=(Env&& other) noexcept {
  std::swap(options_, other.options_);
  std::swap(engine_, other.engine_);
  return *this;
}

Env::~Env() {
  try {
    stop();
  } catch (const Error& error) {
    log::critical("environment '{}' can't be stopped: {}", options_.name, error.what());
    std::terminate();
  }
}

Env Env::start(EnvOptions options) {
  Env env = detail::EnvAccess::start(std::move(options), false);
  block_on(env.engine().start_services());
  return env;
}

Env detail::EnvAccess::start(EnvOptions options, bool main_on_caller) {
  Claim claim;
  clock_init();
  const app::EngineEntry& entry = app::choose_engine(options);
  options.engine = entry.name;
  std::unique_ptr<engine::Engine> engine;
  try {
    engine = entry.start(options, main_on_caller);
  } catch (const Error& error) {
    throw error.with_context("while starting the engine '" + options.engine + "'");
  }
  log::debug("environment '{}' runs on engine {}", options.name, engine->version());
  engine::Engine::install(engine.get());
  claim.keep();
  return Env(std::move(options), std::move(engine));
}

void Env::stop() {
  if (engine_ == nullptr) return;
  detail::refuse_to_block("Env::stop", "leave the task, message or poller first");
  if (!engine_->bdevs().list().empty()) block_on(app::remove_all_bdevs(engine_->bdevs()));
  block_on(engine_->stop_services());
  engine_ = nullptr;  // it serves what its Threads still do until they have ended
  engine::Engine::install(nullptr);
  env_exists = false;
}

engine::Engine& Env::engine() const {
  if (engine_ == nullptr) throw Error(Misuse::not_started, "the environment was stopped").with_operation("Env");
  return *engine_;
}

std::vector<CoreId> Env::cores() const {
  std::vector<CoreId> cores;
  for (const auto& reactor : engine().reactors().info()) cores.push_back(reactor.core);
  return cores;
}

engine::MemoryInfo Env::memory() const { return engine().memory().info(); }

std::vector<std::string> Env::engines() {
  std::vector<std::string> names;
  for (const app::EngineEntry& entry : app::engines()) names.emplace_back(entry.name);
  return names;
}

}  // namespace spdkio
