// What a FakeTarget answers to commands.
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/identify_controller.hpp>
#include <spdkio/spec/identify_namespace.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>

#include <bit>
#include <cstring>
#include <mutex>

#include "nvme/test_target.hpp"

namespace spdkio::nvme::test {
namespace {

namespace fabrics = spec::fabrics;

}  // namespace

void FakeConnection::handle(const spec::Command& command, const std::vector<std::byte>& in_capsule) {
  if (command.opcode == fabrics::opcode) return handle_fabrics(command, in_capsule);
  if (qid_ == 0) return handle_admin(command);
  handle_io(command, in_capsule);
}

void FakeConnection::handle_fabrics(const spec::Command& command, const std::vector<std::byte>& data) {
  switch (fabrics::command_type(command)) {
    case fabrics::CommandType::connect: {
      const auto connect = std::bit_cast<fabrics::ConnectCommand>(command);
      fabrics::ConnectData parameters;
      if (data.size() != sizeof parameters) return respond(command, 0, fabrics::sc::invalid_parameters);
      std::memcpy(&parameters, data.data(), sizeof parameters);
      if (fabrics::field_text(parameters.subnqn) != target_.options.subnqn) {
        return respond(command, fabrics::connect_invalid_parameter(true, 256), fabrics::sc::invalid_parameters);
      }
      qid_ = connect.qid;
      if (qid_ == 0) target_.kato_ms = connect.kato;
      return respond(command, 1);
    }
    case fabrics::CommandType::property_get: {
      const auto get = std::bit_cast<fabrics::PropertyGetCommand>(command);
      switch (get.offset) {
        case fabrics::property::cap:
          return respond(command, 127u | 1u << 16 | 2u << 24, {}, 1u << 5);  // MQES, CQR, TO, NVM command set
        case fabrics::property::vs: return respond(command, 0x00010400);
        case fabrics::property::cc: return respond(command, cc_);
        case fabrics::property::csts: return respond(command, (cc_ & 1) | ((cc_ >> 14 & 3) != 0 ? 2u << 2 : 0));
        default: return respond(command, 0, nvme_sc::invalid_field);
      }
    }
    case fabrics::CommandType::property_set: {
      const auto set = std::bit_cast<fabrics::PropertySetCommand>(command);
      if (set.offset == fabrics::property::cc) cc_ = static_cast<std::uint32_t>(set.value);
      return respond(command);
    }
    default: return respond(command, 0, nvme_sc::invalid_opcode);
  }
}

void FakeConnection::handle_admin(const spec::Command& command) {
  using spec::AdminOpcode;
  std::vector<std::byte> page(4096);
  switch (static_cast<AdminOpcode>(command.opcode)) {
    case AdminOpcode::identify:
      switch (static_cast<spec::Cns>(command.cdw10.value() & 0xFF)) {
        case spec::Cns::controller: {
          spec::IdentifyController data;
          data.cntlid = 1;
          data.mdts = target_.options.mdts;
          data.sn.assign_spaces("FAKE0001");
          data.mn.assign_spaces("fake controller");
          data.kas = 1;
          data.aerl = 3;
          data.nn = 1;
          data.oaes = spec::async_event_config::ns_attributes;
          data.oncs = spec::oncs::compare | spec::oncs::dataset_management | spec::oncs::write_zeroes |
                      spec::oncs::copy | spec::oncs::verify;
          data.fuses = spec::fuses_compare_and_write;
          data.acwu = 7;
          data.ioccsz = (64 + target_.options.in_capsule_bytes) / 16;
          data.iorcsz = 1;
          data.subnqn.assign_zeroes(target_.options.subnqn);
          std::memcpy(page.data(), &data, sizeof data);
          break;
        }
        case spec::Cns::active_ns_list:
          if (command.nsid == 0) page[0] = std::byte{1};
          break;
        case spec::Cns::ns: {
          spec::IdentifyNamespace data;
          {
            const std::lock_guard lock(target_.mutex_);
            data.nsze = target_.storage_.size() / target_.options.block_size;
          }
          data.ncap = data.nsze;
          data.nuse = data.nsze;
          data.lbaf[0].data_log2 = static_cast<std::uint8_t>(std::countr_zero(target_.options.block_size));
          data.nguid[0] = 0x42;
          std::memcpy(page.data(), &data, sizeof data);
          break;
        }
        case spec::Cns::ns_id_descriptors:
          page[0] = std::byte{3};  // UUID
          page[1] = std::byte{16};
          page[4] = std::byte{0xAB};
          break;
        default: return respond(command, 0, nvme_sc::invalid_field);
      }
      send_data(command, page, false);
      return respond(command);
    case AdminOpcode::set_features:
      if ((command.cdw10.value() & 0xFF) == static_cast<std::uint32_t>(spec::Feature::number_of_queues)) {
        const std::uint32_t granted = target_.options.max_io_queues - 1u;
        return respond(command, granted | granted << 16);
      }
      return respond(command);
    case AdminOpcode::get_features: return respond(command, 0x1234);
    case AdminOpcode::get_log_page: {
      const auto bytes = static_cast<std::size_t>(
          ((command.cdw10.value() >> 16) | (std::uint64_t{command.cdw11.value() & 0xFFFF} << 16)) * 4 + 4);
      page.resize(bytes);
      send_data(command, page, false);
      return respond(command);
    }
    case AdminOpcode::async_event_request: {
      const std::lock_guard lock(target_.mutex_);
      target_.waiting_events_.emplace_back(this, command.cid);
      return;
    }
    case AdminOpcode::keep_alive: ++target_.keep_alives; return respond(command);
    case AdminOpcode::abort: ++target_.aborts; return respond(command, 1);
    default: return respond(command, 0, nvme_sc::invalid_opcode);
  }
}

void FakeConnection::handle_io(const spec::Command& command, const std::vector<std::byte>& in_capsule) {
  using spec::NvmOpcode;
  const LbaRange range = spec::nvm::range_of(command);
  const std::uint32_t block = target_.options.block_size;
  const std::size_t bytes = range.count.value * block;
  const std::size_t offset = range.first.value * block;
  const auto fits = [&] { return range.fits(BlockCount{target_.storage_.size() / block}); };
  const auto data_of = [&](std::uint32_t length) -> std::optional<std::vector<std::byte>> {
    if (command.sgl().sub_type() == spec::SglSubType::offset) return in_capsule;
    return fetch(command, length);
  };
  switch (static_cast<NvmOpcode>(command.opcode)) {
    case NvmOpcode::read: {
      std::vector<std::byte> data;
      {
        const std::lock_guard lock(target_.mutex_);
        if (!fits()) return respond(command, 0, nvme_sc::lba_out_of_range);
        data.assign(target_.storage_.begin() + static_cast<std::ptrdiff_t>(offset),
                    target_.storage_.begin() + static_cast<std::ptrdiff_t>(offset + bytes));
      }
      send_data(command, data, target_.options.c2h_success);
      if (!target_.options.c2h_success) respond(command);
      return;
    }
    case NvmOpcode::write:
    case NvmOpcode::compare: {
      const auto data = data_of(static_cast<std::uint32_t>(bytes));
      if (!data || data->size() != bytes) return hang_up();
      const std::lock_guard lock(target_.mutex_);
      if (!fits()) return respond(command, 0, nvme_sc::lba_out_of_range);
      if (static_cast<NvmOpcode>(command.opcode) == NvmOpcode::compare) {
        const bool same = std::memcmp(target_.storage_.data() + offset, data->data(), bytes) == 0;
        return respond(command, 0, same ? NvmeStatus{} : nvme_sc::compare_failure);
      }
      ++target_.writes;
      std::memcpy(target_.storage_.data() + offset, data->data(), bytes);
      return respond(command);
    }
    case NvmOpcode::write_zeroes: {
      const std::lock_guard lock(target_.mutex_);
      if (!fits()) return respond(command, 0, nvme_sc::lba_out_of_range);
      std::memset(target_.storage_.data() + offset, 0, bytes);
      return respond(command);
    }
    case NvmOpcode::dataset_management:
    case NvmOpcode::copy: {
      const bool copying = static_cast<NvmOpcode>(command.opcode) == NvmOpcode::copy;
      const std::uint32_t entries = copying ? (command.cdw12.value() & 0xFF) + 1 : (command.cdw10.value() & 0xFF) + 1;
      const std::size_t entry_bytes = copying ? sizeof(spec::CopyRange) : sizeof(spec::DsmRange);
      const auto data = data_of(static_cast<std::uint32_t>(entries * entry_bytes));
      if (!data || data->size() != entries * entry_bytes) return hang_up();
      const std::lock_guard lock(target_.mutex_);
      std::size_t to = command.cdw10_11() * block;
      for (std::uint32_t i = 0; i < entries; ++i) {
        if (copying) {
          spec::CopyRange entry;
          std::memcpy(&entry, data->data() + i * entry_bytes, sizeof entry);
          const std::size_t length = (entry.blocks + 1u) * block;
          std::memmove(target_.storage_.data() + to, target_.storage_.data() + entry.lba * block, length);
          to += length;
        } else {
          spec::DsmRange entry;
          std::memcpy(&entry, data->data() + i * entry_bytes, sizeof entry);
          std::memset(target_.storage_.data() + entry.lba * block, 0, std::size_t{entry.blocks} * block);
        }
      }
      return respond(command);
    }
    case NvmOpcode::flush:
    case NvmOpcode::verify: return respond(command);
    default: return respond(command, 0, nvme_sc::invalid_opcode);
  }
}

}  // namespace spdkio::nvme::test
