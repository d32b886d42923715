#include "engine_spdk/nvme/connect_attempt.hpp"

#include <spdkio/base/log.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <cerrno>
#include <chrono>
#include <utility>

#include "engine_spdk/nvme/connect_error.hpp"
#include "engine_spdk/nvme/connect_options.hpp"
#include "engine_spdk/spdk_log.hpp"

namespace spdkio::spdk {
namespace {

/// Rounds of looking again and again before it looks every now and then.
constexpr int eager_rounds = 2000;
constexpr std::chrono::microseconds look_period{200};

Task<> detach(std::shared_ptr<SpdkController> controller) {
  auto detaching = controller->detach(true);
  co_await std::move(detaching);
}

}  // namespace

ConnectAttempt::ConnectAttempt(const nvme::ControllerSettings& settings, const spdk_nvme_transport_id& id,
                               std::shared_ptr<AddressBook> book)
    : settings_(settings), home_(CurrentThread::handle()), book_(std::move(book)), id_(id) {}

Task<std::shared_ptr<SpdkController>> ConnectAttempt::run(ThreadHandle driver) {
  const auto self = shared_from_this();
  driver.spawn(connect(self), "nvme connect " + settings_.name).detach();
  auto waiting = ended_.wait();
  const auto waited = co_await as_result(std::move(waiting));
  if (!waited) {
    [[maybe_unused]] const auto sent = driver.send([self] { self->give_up(); });
    throw waited.error();
  }
  if (failure_) throw failure_->with_device(settings_.name);
  co_return std::move(controller_);
}

// ---- the driver's Thread

Task<> ConnectAttempt::connect(std::shared_ptr<ConnectAttempt> self) {
  auto trying = try_addresses();
  const auto tried = co_await as_result(std::move(trying));
  if (!tried) failure_ = tried.error();
  self->finish();
}

Task<> ConnectAttempt::try_addresses() {
  const spdk_nvme_transport_id plain = id_;
  for (unsigned zeroes = 0;; ++zeroes) {
    id_ = plain;
    const auto taken = book_->take(id_, settings_.host_nqn, zeroes);
    if (!taken) {
      throw Error(std::errc::device_or_resource_busy, "SPDK has too many controllers of this process at this address")
          .with_hint(settings_.id.trtype == nvme::TransportType::pcie
                         ? "a PCIe controller is attached once; its namespaces may be bdevs already"
                         : "give each a host NQN of its own");
    }
    zeroes = *taken;
    std::string said;
    call_ = {.opts = to_spdk_options(settings_), .ctrlr = nullptr};
    spdk_nvme_probe_ctx* const probe = begin(said);
    // Attached before anything was sent: SPDK knows it already, as a bdev module's perhaps.
    const bool foreign = call_.ctrlr != nullptr;
    if (foreign) let_go_of_foreign();
    if (probe != nullptr) {
      auto polling = poll_to_end(probe, said);
      const auto polled = co_await as_result(std::move(polling));
      if (!polled) {
        log::warn("{}: the engine ends while SPDK connects; what it has of that stays allocated", settings_.name);
        throw polled.error();
      }
    }
    if (!foreign && call_.ctrlr != nullptr) break;
    book_->give_back(id_, settings_.host_nqn);
    const bool going = said.find("being destructed") != std::string::npos;
    if (!foreign && !going) throw connect_error(said).with_operation("connect");
  }
  const auto free_address = [book = book_, id = id_, host_nqn = settings_.host_nqn] { book->give_back(id, host_nqn); };
  controller_ = std::make_shared<SpdkController>(call_.ctrlr, settings_, free_address);
  controller_->start();
}

spdk_nvme_probe_ctx* ConnectAttempt::begin(std::string& said) {
  const LogCapture capture(said);
  return ::spdk_nvme_connect_async(&id_, &call_.opts, attached);
}

void ConnectAttempt::attached(void* context, const spdk_nvme_transport_id*, spdk_nvme_ctrlr* ctrlr,
                              const spdk_nvme_ctrlr_opts*) noexcept {
  static_cast<Call*>(context)->ctrlr = ctrlr;
}

Task<> ConnectAttempt::poll_to_end(spdk_nvme_probe_ctx* probe, std::string& said) {
  for (int round = 0;; ++round) {
    int rc = 0;
    {
      const LogCapture capture(said);
      rc = ::spdk_nvme_probe_poll_async(probe);
    }
    if (rc != -EAGAIN) co_return;
    if (round < eager_rounds) {
      co_await yield();
    } else {
      co_await sleep_for(look_period);
    }
  }
}

void ConnectAttempt::let_go_of_foreign() {
  spdk_nvme_detach_ctx* none = nullptr;
  ::spdk_nvme_detach_async(call_.ctrlr, &none);
}

void ConnectAttempt::finish() {
  finished_ = true;
  if (abandoned_) return dispose();
  const auto sent = home_.send([self = shared_from_this()] { self->ended_.set(); });
  if (!sent) dispose();
}

void ConnectAttempt::give_up() {
  abandoned_ = true;
  if (finished_) dispose();
}

void ConnectAttempt::dispose() {
  const auto controller = std::exchange(controller_, nullptr);
  if (controller == nullptr) return;
  CurrentThread::spawn(detach(controller), "nvme detach").detach();
}

}  // namespace spdkio::spdk
