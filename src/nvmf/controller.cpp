#include "nvmf/controller.hpp"

#include <algorithm>
#include <utility>

#include "nvmf/poll_group.hpp"
#include "nvmf/queue.hpp"
#include "nvmf/subsystem_state.hpp"

namespace spdkio::nvmf {
namespace {

/// Half seconds that enabling may take; it takes none.
constexpr std::uint64_t ready_timeout = 30;
constexpr std::uint32_t ready_bit = 1;
constexpr std::uint32_t shutdown_complete = 2u << 2;
constexpr std::size_t most_changed_namespaces = 1024;
constexpr std::uint32_t ns_list_announced = 1;
constexpr std::uint32_t discovery_log_announced = 2;

}  // namespace

Controller::Controller(std::shared_ptr<SubsystemState> subsystem, std::uint16_t cntlid, HostConnect host,
                       bool discovery)
    : subsystem_(std::move(subsystem)), cntlid_(cntlid), host_(std::move(host)), discovery_(discovery) {}

void Controller::admin_closed() noexcept {
  admin_ = nullptr;
  enabled_ = false;
  close_io_queues();
  SubsystemState::forget_controller(subsystem_, shared_from_this());
}

NvmeStatus Controller::add_io_queue(std::uint16_t qid, QueueAddress address) {
  if (admin_ == nullptr || discovery_) return spec::fabrics::sc::invalid_parameters;
  if (!enabled()) return sc::command_sequence_error;
  if (qid > granted_io_queues) return spec::fabrics::sc::invalid_parameters;
  if (!io_queues_.emplace(qid, address).second) return sc::command_sequence_error;
  ++io_queue_count;
  return sc::success;
}

void Controller::remove_io_queue(std::uint16_t qid, std::uint64_t id) noexcept {
  const auto found = io_queues_.find(qid);
  if (found == io_queues_.end() || found->second.id != id) return;
  io_queues_.erase(found);
  --io_queue_count;
}

QueueAddress Controller::io_queue(std::uint16_t qid) const noexcept {
  const auto found = io_queues_.find(qid);
  return found == io_queues_.end() ? QueueAddress{} : found->second;
}

void Controller::close_io_queues() noexcept {
  for (const auto& [qid, address] : io_queues_) {
    [[maybe_unused]] const auto sent = address.group->thread().send([address] {
      if (Queue* const queue = address.group->find(address.id)) queue->close("the controller was disabled or has gone");
    });
  }
  io_queues_.clear();
  io_queue_count = 0;
}

std::uint64_t Controller::property(std::uint32_t offset, unsigned bytes, bool& known) const noexcept {
  using spec::Property;
  known = true;
  switch (static_cast<Property>(offset)) {
    case Property::cap:
      if (bytes != 8) break;
      // Contiguous queues, and the NVM command set.
      return (max_queue_entries - 1) | 1ull << 16 | ready_timeout << 24 | 1ull << 37;
    case Property::vs:
      if (bytes != 4) break;
      return version;
    case Property::cc:
      if (bytes != 4) break;
      return cc_;
    case Property::csts:
      if (bytes != 4) break;
      return csts_;
    default: break;
  }
  known = false;
  return 0;
}

bool Controller::set_property(std::uint32_t offset, std::uint64_t value) {
  if (static_cast<spec::Property>(offset) != spec::Property::cc) return false;
  set_configuration(static_cast<std::uint32_t>(value));
  return true;
}

void Controller::set_configuration(std::uint32_t value) {
  const spec::Configuration now{value};
  const spec::Configuration before{std::exchange(cc_, value)};
  if (now.shutdown() != 0 && before.shutdown() == 0) {
    close_io_queues();
    csts_ = (csts_ & ~(3u << 2)) | shutdown_complete;
  }
  if (now.enabled() && !before.enabled()) {
    const bool fits = (now.command_set() == 0 || (discovery_ && now.command_set() == 7)) && now.page_size() == 4096;
    csts_ = fits ? ready_bit : 2;  // otherwise fatal: what was asked for does not exist
    enabled_ = fits;
  } else if (!now.enabled() && before.enabled()) {
    enabled_ = false;
    close_io_queues();
    async_event_configuration = 0;
    pending_events_.clear();
    changed_.clear();
    too_many_changed_ = false;
    announced_pages_ = 0;
    // A reset ends what the admin queue still has.
    while (async_event_count_ > 0) {
      Request& request = *async_events_[--async_event_count_];
      request.queue->finish(request, sc::abort_requested);
    }
    csts_ = 0;
  }
}

bool Controller::add_async_event_request(Request& request) noexcept {
  if (async_event_count_ == max_async_events) return false;
  async_events_[async_event_count_++] = &request;
  deliver_events();
  return true;
}

bool Controller::remove_async_event_request(Request& request) noexcept {
  const auto end = async_events_.begin() + async_event_count_;
  const auto found = std::find(async_events_.begin(), end, &request);
  if (found == end) return false;
  std::move(found + 1, end, found);
  --async_event_count_;
  return true;
}

void Controller::raise(const spec::AsyncEvent& event) {
  pending_events_.push_back(event);
  deliver_events();
}

void Controller::deliver_events() noexcept {
  while (async_event_count_ > 0 && !pending_events_.empty()) {
    Request& request = *async_events_[0];
    remove_async_event_request(request);
    request.completion.dw0 = pending_events_.front().encode();
    pending_events_.erase(pending_events_.begin());
    request.queue->finish(request, sc::success);
  }
}

void Controller::namespace_changed(std::uint32_t nsid) {
  if (discovery_ || !enabled()) return;
  const auto at = std::lower_bound(changed_.begin(), changed_.end(), nsid);
  if (at == changed_.end() || *at != nsid) {
    if (changed_.size() < most_changed_namespaces) {
      changed_.insert(at, nsid);
    } else {
      too_many_changed_ = true;
    }
  }
  if ((async_event_configuration & spec::async_event_config::ns_attributes) == 0) return;
  // One event announces the page; the next one comes when it was read.
  if ((announced_pages_ & ns_list_announced) != 0) return;
  announced_pages_ |= ns_list_announced;
  raise({.type = spec::AsyncEventType::notice,
         .information = static_cast<std::uint8_t>(spec::AsyncNotice::ns_attribute_changed),
         .log_page = 0x04});
}

void Controller::discovery_log_changed() {
  if (!discovery_ || !enabled()) return;
  if ((async_event_configuration & spec::async_event_config::discovery_log) == 0) return;
  if ((announced_pages_ & discovery_log_announced) != 0) return;
  announced_pages_ |= discovery_log_announced;
  raise({.type = spec::AsyncEventType::notice,
         .information = static_cast<std::uint8_t>(spec::AsyncNotice::discovery_log_changed),
         .log_page = 0x70});
}

void Controller::log_page_read(std::uint8_t page) noexcept {
  if (page == 0x04) announced_pages_ &= ~ns_list_announced;
  if (page == 0x70) announced_pages_ &= ~discovery_log_announced;
}

std::vector<std::uint32_t> Controller::changed_namespaces(bool retain) {
  std::vector<std::uint32_t> list = too_many_changed_ ? std::vector{spec::nsid_all} : changed_;
  if (!retain) {
    changed_.clear();
    too_many_changed_ = false;
  }
  return list;
}

}  // namespace spdkio::nvmf
