#include "nvmf/target_backend.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/spec/fabrics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "nvme/tcp/socket_address.hpp"

namespace spdkio::nvmf {
namespace {

thread_local std::vector<std::shared_ptr<TargetBackend>> targets;

bool same_service(const nvme::TransportId& a, const nvme::TransportId& b) noexcept {
  return a.trtype == b.trtype && a.traddr == b.traddr && a.trsvcid == b.trsvcid && a.subnqn == b.subnqn;
}

/// With what may be left out filled in.
nvme::TransportId complete(nvme::TransportId where) {
  if (where.trsvcid.empty()) where.trsvcid = "4420";
  if (where.subnqn.empty()) where.subnqn = spec::fabrics::discovery_nqn;
  if (where.adrfam == nvme::AddressFamily::unspecified) {
    where.adrfam = where.traddr.find(':') == std::string::npos ? nvme::AddressFamily::ipv4 : nvme::AddressFamily::ipv6;
  }
  return where;
}

}  // namespace

TargetBackend::TargetBackend(std::string name) : name_(std::move(name)), home_(CurrentThread::handle()) {}
TargetBackend::~TargetBackend() = default;

std::vector<std::shared_ptr<TargetBackend>> TargetBackend::all() {
  std::erase_if(targets, [](const auto& each) { return each->destroyed(); });
  return targets;
}
void TargetBackend::add(std::shared_ptr<TargetBackend> target) { targets.push_back(std::move(target)); }
void TargetBackend::remove(const TargetBackend& target) noexcept {
  std::erase_if(targets, [&target](const auto& each) { return each.get() == &target; });
}

void TargetBackend::require_home(const char* operation) const {
  if (!home_.is_current()) {
    throw Error(Misuse::wrong_thread, fmt::format("the target belongs to thread '{}'", home_.name()))
        .with_operation(operation)
        .with_device(name_);
  }
  if (destroyed()) {
    throw Error(std::errc::no_such_device, "the target was destroyed").with_operation(operation).with_device(name_);
  }
}

void TargetBackend::add_referral(Referral referral) {
  if (referral.where.trtype == nvme::TransportType::pcie) {
    throw Error(Misuse::invalid_argument, "a referral is to a discovery service on a network")
        .with_operation("add_referral");
  }
  referral.where = complete(std::move(referral.where));
  referral.where.check();
  const auto address = nvme::tcp::SocketAddress::parse(referral.where.traddr, 0);
  if (address && address->is_any()) {
    throw Error(Misuse::invalid_argument, referral.where.traddr + " is no address that a host could connect to")
        .with_operation("add_referral");
  }
  if (std::ranges::any_of(referrals_, [&](const Referral& each) { return same_service(each.where, referral.where); })) {
    throw Error(std::errc::file_exists, "that discovery service is listed already")
        .with_operation("add_referral")
        .with_device(referral.where.to_string());
  }
  referrals_.push_back(std::move(referral));
  try {
    referral_added(referrals_.back());
  } catch (...) {
    referrals_.pop_back();
    throw;
  }
}

void TargetBackend::remove_referral(const nvme::TransportId& where) {
  const nvme::TransportId wanted = complete(where);
  const auto found =
      std::ranges::find_if(referrals_, [&](const Referral& each) { return same_service(each.where, wanted); });
  if (found == referrals_.end()) {
    throw Error(std::errc::no_such_file_or_directory, "no such discovery service is listed")
        .with_operation("remove_referral")
        .with_device(wanted.to_string());
  }
  const Referral removed = std::move(*found);
  referrals_.erase(found);
  referral_removed(removed);
}

Task<> TargetBackend::open_and_add(std::shared_ptr<TargetBackend> target, std::string mask) {
  add(target);
  std::exception_ptr failure;
  try {
    co_await target->open(std::move(mask));
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  co_await target->destroy();
  std::rethrow_exception(failure);
}

void TargetBackend::drop_referral(const nvme::TransportId& where) noexcept {
  std::erase_if(referrals_, [&](const Referral& each) { return same_service(each.where, where); });
}

}  // namespace spdkio::nvmf
