#include <spdkio/bdev_modules/error.hpp>

#include <fmt/format.h>

#include <string>
#include <utility>

#include "bdev_modules/error/error_device.hpp"
#include "bdev_modules/stacked/stacked_methods.hpp"

namespace spdkio::bdev {
namespace {

std::string name_or_default(const std::string& name, const std::string& base_name) {
  return name.empty() ? "EE_" + base_name : name;
}

/// The state keeps the device from going away while it is used.
struct Found {
  std::shared_ptr<DeviceState> state;
  ErrorDevice* device;
};
Found find_error_device(std::string_view name) {
  auto state = Service::current().find(name);
  auto* device = state != nullptr ? dynamic_cast<ErrorDevice*>(state->device()) : nullptr;
  if (device == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such error bdev").with_operation("inject").with_device(name);
  }
  return {std::move(state), device};
}

Task<> clear_named(std::string name) {
  const Found found = find_error_device(name);
  co_await found.device->clear();
}

struct CreateParams {
  std::string base_name;
  std::string name;
  Uuid uuid{};
  void fields(rpc::Params& params) {
    params.required("base_name", &base_name, "Name of the bdev below");
    params.optional("name", &name, "Name of the new bdev; EE_<base_name> without one");
    params.optional("uuid", &uuid, "UUID of the new bdev");
  }
};

Task<Bdev> create(CreateParams params) {
  auto base = StackedBase::open(params.base_name, "error");
  auto device = std::make_unique<ErrorDevice>(name_or_default(params.name, params.base_name), base, params.uuid);
  co_return co_await register_stacked(base, std::move(device), true);
}

struct InjectParams {
  std::string name;
  std::string io_type;
  std::string error_type;
  std::uint64_t num = 1;
  std::uint32_t queue_depth = 0;
  std::uint64_t corrupt_offset = 0;
  std::uint8_t corrupt_value = 0;
  std::uint64_t lba = 0;
  std::uint64_t num_blocks = 0;
  std::uint32_t error_number = 0;
  std::uint8_t sct = 0;
  std::uint8_t sc = 0;
  void fields(rpc::Params& params) {
    params.required("name", &name, "Name of the bdev");
    params.required("io_type", &io_type, "read, write, unmap, flush, reset, ..., all; clear: drop all rules");
    params.optional("error_type", &error_type, "failure, pending, corrupt_data or nomem");
    params.optional("num", &num, "How many requests to fail");
    params.optional("queue_depth", &queue_depth, "Only with at least so many requests in flight");
    params.optional("corrupt_offset", &corrupt_offset, "Which byte to change");
    params.optional("corrupt_value", &corrupt_value, "What to XOR it with");
    params.optional("lba", &lba, "Only requests that touch the blocks from here");
    params.optional("num_blocks", &num_blocks, "How many blocks from lba; 0: all requests");
    params.optional("errno", &error_number, "Fail with this errno");
    params.optional("sct", &sct, "Fail with this NVMe status code type");
    params.optional("sc", &sc, "Fail with this NVMe status code");
  }

  ErrorInjection injection() const {
    ErrorInjection rule{.type = type(),
                        .action = action(),
                        .count = num,
                        .range = {},
                        .queue_depth = queue_depth,
                        .corrupt_offset = corrupt_offset,
                        .corrupt_value = corrupt_value};
    if (num_blocks != 0) rule.range = LbaRange{Lba{lba}, BlockCount{num_blocks}};
    if (error_number != 0) {
      rule.status = IoStatus::system(static_cast<int>(error_number));
    } else if (sct != 0 || sc != 0) {
      rule.status = IoStatus::nvme({.sct = sct, .sc = sc});
    }
    return rule;
  }

 private:
  std::optional<IoType> type() const {
    if (io_type == "all") return std::nullopt;
    for (std::size_t i = 0; i < io_type_count; ++i) {
      if (to_string(static_cast<IoType>(i)) == io_type) return static_cast<IoType>(i);
    }
    refuse_option(name, "io_type", fmt::format("'{}' is no kind of operation", io_type));
  }
  ErrorAction action() const {
    if (error_type == "failure") return ErrorAction::fail;
    if (error_type == "pending") return ErrorAction::pending;
    if (error_type == "corrupt_data") return ErrorAction::corrupt_data;
    if (error_type == "nomem") return ErrorAction::no_memory;
    refuse_option(name, "error_type", "must be failure, pending, corrupt_data or nomem");
  }
};

Task<Json> inject(InjectParams params) {
  if (params.io_type == "clear") {
    co_await clear_named(std::move(params.name));
  } else {
    inject_error(params.name, params.injection());
  }
  co_return Json(true);
}

}  // namespace

Task<Bdev> create_error(const ErrorOptions& options) {
  return create({.base_name = std::string{options.base}, .name = std::string{options.name}, .uuid = options.uuid});
}

Task<> delete_error(std::string_view name) { return unregister_own<ErrorDevice>(std::string{name}); }

void inject_error(std::string_view name, const ErrorInjection& injection) {
  find_error_device(name).device->injections().add(injection);
}

Task<> clear_errors(std::string_view name) { return clear_named(std::string{name}); }

void register_error_methods(rpc::MethodTable& table) {
  const auto pending = std::make_shared<PendingBases>();
  table.add<CreateParams>("bdev_error_create", "Make a device that fails when it is told to",
                          [=](const CreateParams& params) {
                            return create_or_wait(pending, name_or_default(params.name, params.base_name),
                                                  params.base_name, create, params, Json(true));
                          });
  table.add<BdevName>("bdev_error_delete", "Remove an error device",
                      [=](const BdevName& params) { return delete_or_forget<ErrorDevice>(pending, params); });
  table.add<InjectParams>("bdev_error_inject_error", "Add a rule to an error device", inject);
}

}  // namespace spdkio::bdev
