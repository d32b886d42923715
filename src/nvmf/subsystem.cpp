#include <spdkio/nvmf/subsystem.hpp>

#include <utility>

#include "nvmf/subsystem_backend.hpp"

namespace spdkio::nvmf {

const std::string& Subsystem::nqn() const noexcept { return state_->nqn(); }
bool Subsystem::is_discovery() const noexcept { return state_->is_discovery(); }
SubsystemStatus Subsystem::status() const noexcept { return state_->status(); }

Task<std::uint32_t> Subsystem::add_namespace(std::string_view bdev_name, const NamespaceOptions& options) const {
  state_->require_usable("add_namespace");
  return state_->add_namespace(std::string(bdev_name), options);
}
Task<> Subsystem::remove_namespace(std::uint32_t nsid) const {
  state_->require_usable("remove_namespace");
  return state_->remove_namespace(nsid);
}
std::vector<NamespaceInfo> Subsystem::namespaces() const {
  state_->require_usable("namespaces");
  return state_->namespaces();
}

Task<nvme::TransportId> Subsystem::add_listener(const nvme::TransportId& where) const {
  state_->require_usable("add_listener");
  return state_->add_listener(where);
}
Task<> Subsystem::remove_listener(const nvme::TransportId& where) const {
  state_->require_usable("remove_listener");
  return state_->remove_listener(where);
}
std::vector<nvme::TransportId> Subsystem::listeners() const {
  state_->require_usable("listeners");
  return state_->listeners();
}

void Subsystem::allow_any_host(bool allowed) const { state_->allow_any_host(allowed); }
bool Subsystem::any_host_allowed() const { return state_->any_host_allowed(); }
void Subsystem::add_host(std::string_view hostnqn) const { state_->add_host(std::string(hostnqn)); }
Task<> Subsystem::remove_host(std::string_view hostnqn) const {
  state_->require_usable("remove_host");
  return state_->remove_host(std::string(hostnqn));
}
std::vector<std::string> Subsystem::hosts() const {
  state_->require_usable("hosts");
  return {state_->hosts().begin(), state_->hosts().end()};
}
Task<> Subsystem::disconnect_host(std::string_view hostnqn) const {
  state_->require_usable("disconnect_host");
  return state_->disconnect_host(std::string(hostnqn));
}

Task<> Subsystem::start() const { return state_->start(); }
Task<> Subsystem::stop() const { return state_->stop(); }
Task<> Subsystem::pause() const { return state_->pause(); }
Task<> Subsystem::resume() const { return state_->resume(); }
Task<> Subsystem::destroy() const { return state_->destroy(); }

std::vector<ControllerInfo> Subsystem::controllers() const {
  state_->require_usable("controllers");
  return state_->controllers();
}
const std::string& Subsystem::serial_number() const noexcept { return state_->serial_number(); }
const std::string& Subsystem::model_number() const noexcept { return state_->model_number(); }
std::uint32_t Subsystem::max_namespaces() const noexcept { return state_->max_namespaces(); }
std::uint16_t Subsystem::min_cntlid() const noexcept { return state_->min_cntlid(); }
std::uint16_t Subsystem::max_cntlid() const noexcept { return state_->max_cntlid(); }

}  // namespace spdkio::nvmf
