#include <spdkio/bdev/bdev_desc.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/base/log.hpp>
#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev/service.hpp>

#include <utility>

namespace spdkio {

using bdev::IoType;

Task<BdevDesc> BdevDesc::open(std::string_view name, Access access, OpenOptions options) {
  return open_named(std::string{name}, access, options);
}

Task<BdevDesc> BdevDesc::open_named(std::string name, Access access, OpenOptions options) {
  auto& service = bdev::Service::current();
  auto device = service.find(name);
  if (device == nullptr && options.wait > options.wait.zero()) device = co_await service.wait_for(name, options.wait);
  if (device == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_operation("open").with_device(name);
  }
  co_return BdevDesc{std::make_shared<bdev::DescState>(std::move(device), access)};
}

BdevDesc& BdevDesc::operator=(BdevDesc&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

BdevDesc::~BdevDesc() {
  if (state_ != nullptr && !state_->closed()) {
    log::warn("a descriptor of '{}' was destroyed without close()", state_->device().name());
  }
}

Task<> BdevDesc::close() {
  open_state().close();
  co_return;
}

bdev::DescState& BdevDesc::open_state() const {
  if (state_ == nullptr) throw Error(Misuse::already_closed, "an empty descriptor");
  return *state_;
}

const std::string& BdevDesc::name() const { return open_state().device().name(); }
Bdev BdevDesc::bdev() const { return Bdev{open_state().shared_device()}; }
Access BdevDesc::access() const { return open_state().access(); }
std::uint32_t BdevDesc::block_size() const { return open_state().device().geometry().block_size; }
BlockCount BdevDesc::num_blocks() const { return open_state().device().num_blocks(); }
ByteCount BdevDesc::size() const { return ByteCount{num_blocks().value * block_size()}; }
std::size_t BdevDesc::buffer_alignment() const { return open_state().device().geometry().buffer_alignment; }
bool BdevDesc::supports(IoType type) const { return open_state().device().supports(type); }

IoChannel BdevDesc::io_channel() const {
  auto& state = open_state();
  if (state.closed()) {
    throw Error(Misuse::already_closed, "the descriptor was closed").with_operation("io_channel").with_device(name());
  }
  return IoChannel{state.device().acquire_slot()};
}

IoOperation<> BdevDesc::compare_and_write(const IoChannel& channel, DmaSpans expected, DmaSpans data,
                                          LbaRange at) const {
  IoOperation<> operation(*state_, channel.slot(), IoType::compare_and_write);
  operation.set_buffers(expected);
  operation.set_where(at);
  operation.set_write_buffers(data);
  return operation;
}

IoOperation<> BdevDesc::write_zeroes(const IoChannel& channel, LbaRange range) const {
  return ranged(IoType::write_zeroes, channel, range);
}

IoOperation<> BdevDesc::write_zeroes(const IoChannel& channel, ByteRange range) const {
  IoOperation<> operation(*state_, channel.slot(), IoType::write_zeroes);
  operation.set_where(range);
  return operation;
}

IoOperation<> BdevDesc::unmap(const IoChannel& channel, LbaRange range) const {
  return ranged(IoType::unmap, channel, range);
}

IoOperation<> BdevDesc::unmap(const IoChannel& channel, ByteRange range) const {
  IoOperation<> operation(*state_, channel.slot(), IoType::unmap);
  operation.set_where(range);
  return operation;
}

IoOperation<> BdevDesc::flush(const IoChannel& channel) const {
  return ranged(IoType::flush, channel, {Lba{0}, state_->device().num_blocks()});
}

IoOperation<> BdevDesc::copy(const IoChannel& channel, LbaRange from, Lba to) const {
  auto operation = ranged(IoType::copy, channel, {to, from.count});
  operation.set_source(from);
  return operation;
}

IoOperation<> BdevDesc::reset(const IoChannel& channel) const { return ranged(IoType::reset, channel, {}); }

IoOperation<std::optional<Lba>> BdevDesc::seek_data(const IoChannel& channel, Lba from) const {
  return ranged<std::optional<Lba>>(IoType::seek_data, channel, {from, BlockCount{0}});
}

IoOperation<std::optional<Lba>> BdevDesc::seek_hole(const IoChannel& channel, Lba from) const {
  return ranged<std::optional<Lba>>(IoType::seek_hole, channel, {from, BlockCount{0}});
}

IoOperation<std::uint32_t> BdevDesc::zone_report(const IoChannel& channel, Lba from,
                                                 std::span<bdev::ZoneInfo> zones) const {
  auto operation = ranged<std::uint32_t>(IoType::zone_report, channel, {from, BlockCount{0}});
  operation.set_zones(zones);
  return operation;
}

IoOperation<> BdevDesc::zone_management(const IoChannel& channel, Lba zone, bdev::ZoneAction action) const {
  auto operation = ranged(IoType::zone_management, channel, {zone, BlockCount{0}});
  operation.set_zone_action(action);
  return operation;
}

template <class Buffers>
IoOperation<Lba> BdevDesc::append(const IoChannel& channel, Buffers data, Lba zone, const IoOptions& options) const {
  IoOperation<Lba> operation(*state_, channel.slot(), IoType::zone_append);
  operation.set_buffers(data);
  operation.set_zone(zone);
  operation.set_options(options);
  return operation;
}

IoOperation<Lba> BdevDesc::zone_append(const IoChannel& channel, DmaSpan data, Lba zone,
                                       const IoOptions& options) const {
  return append(channel, data, zone, options);
}

IoOperation<Lba> BdevDesc::zone_append(const IoChannel& channel, DmaSpans data, Lba zone,
                                       const IoOptions& options) const {
  return append(channel, data, zone, options);
}

IoOperation<std::uint32_t> BdevDesc::nvme_admin(const IoChannel& channel, const bdev::NvmeCommand& command,
                                                DmaSpan data) const {
  return passthru(IoType::nvme_admin, channel, command, data);
}

IoOperation<std::uint32_t> BdevDesc::nvme_io(const IoChannel& channel, const bdev::NvmeCommand& command,
                                             DmaSpan data) const {
  return passthru(IoType::nvme_io, channel, command, data);
}

IoOperation<std::uint32_t> BdevDesc::passthru(IoType type, const IoChannel& channel, const bdev::NvmeCommand& command,
                                              DmaSpan data) const {
  IoOperation<std::uint32_t> operation(*state_, channel.slot(), type);
  if (!data.empty()) operation.set_buffers(data);
  operation.set_command(command);
  return operation;
}

Task<std::optional<bdev::BdevEvent>> BdevDesc::next_event() const { return open_state().next_event(); }

void BdevDesc::claim(bdev::Claim type, std::string module, std::uint64_t shared_key) const {
  open_state().claim(type, std::move(module), shared_key);
}

void BdevDesc::release_claim() const { open_state().release_claim(); }

}  // namespace spdkio
