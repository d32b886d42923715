#include "engine_spdk/nvmf/poll_group.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/runtime/completion.hpp>

#include <nlohmann/json.hpp>

#include <spdk/json.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {
namespace {

int append(void* text, const void* data, std::size_t size) noexcept {
  try {
    static_cast<std::string*>(text)->append(static_cast<const char*>(data), size);
    return 0;
  } catch (...) {
    return -1;
  }
}

/// SPDK gives these counters as JSON alone.
std::string dump(spdk_nvmf_poll_group* group) {
  std::string text;
  spdk_json_write_ctx* const writer = ::spdk_json_write_begin(append, &text, 0);
  if (writer == nullptr) throw Error(std::errc::not_enough_memory, "SPDK writes no JSON");
  ::spdk_nvmf_poll_group_dump_stat(group, writer);
  if (::spdk_json_write_end(writer) != 0) throw Error(std::errc::io_error, "SPDK writes no JSON");
  return text;
}

struct Closing {
  spdk_nvmf_poll_group* group;
  Completer<int> completer;

  static void begin(void* arg) noexcept {
    ::spdk_nvmf_poll_group_destroy(static_cast<Closing*>(arg)->group, done, arg);
  }
  static void done(void* arg, int status) noexcept {
    const std::unique_ptr<Closing> own(static_cast<Closing*>(arg));
    own->completer.set_value(status);
  }
};

}  // namespace

TargetPollGroup::TargetPollGroup(std::string name, std::optional<Thread> thread)
    : name_(std::move(name)),
      owned_thread_(std::move(thread)),
      handle_(owned_thread_ ? owned_thread_->handle() : CurrentThread::handle()) {}

Task<> TargetPollGroup::open(LightThreads& threads, spdk_nvmf_tgt* target) {
  auto make = [this, &threads, target] {
    threads_ = &threads;
    LightThread& light = threads.here();
    light.make_current();
    std::string said;
    const LogCapture capture(said);
    spdk_thread_id_ = ::spdk_thread_get_id(light.get());
    group_ = ::spdk_nvmf_poll_group_create(target);
    if (group_ == nullptr) {
      throw Error(std::errc::not_enough_memory, "SPDK makes no poll group: " + said)
          .with_operation("spdk_nvmf_poll_group_create")
          .with_device(name_)
          .with_hint("give it more memory: mem_size");
    }
  };
  co_await handle_.call(make);
}

Task<nvmf::PollGroupStats> TargetPollGroup::stats() const {
  auto ask = [this] {
    threads_->here().make_current();
    return dump(group_);
  };
  const std::string text = co_await handle_.call(ask);
  const auto json = nlohmann::json::parse(text);
  nvmf::PollGroupStats stats;
  stats.name = name_;
  stats.admin_qpairs = json.value("admin_qpairs", 0u);
  stats.io_qpairs = json.value("io_qpairs", 0u);
  stats.current_admin_qpairs = json.value("current_admin_qpairs", 0u);
  stats.current_io_qpairs = json.value("current_io_qpairs", 0u);
  stats.completed_nvme_io = json.value("completed_nvme_io", std::uint64_t{0});
  co_return stats;
}

Task<bool> TargetPollGroup::close(Control& control) {
  if (group_ == nullptr) co_return true;
  auto [completer, done] = completion<int>();
  auto closing = std::make_unique<Closing>(Closing{std::exchange(group_, nullptr), std::move(completer)});
  // A message of SPDK's: it comes after those that hand over accepted connections.
  auto send = [this, &closing] {
    spdk_thread* const thread = ::spdk_thread_get_by_id(spdk_thread_id_);
    if (thread == nullptr || ::spdk_thread_send_msg(thread, Closing::begin, closing.get()) != 0) return false;
    [[maybe_unused]] auto* const sent = closing.release();
    return true;
  };
  auto asked = control.on_app(std::move(send));
  const bool sent = co_await std::move(asked);
  if (!sent) co_return false;
  co_await std::move(done);
  co_return true;
}

Task<> TargetPollGroup::end_thread() {
  if (owned_thread_) co_await owned_thread_->exit();
}

}  // namespace spdkio::spdk
