#include <spdkio/base/error.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace spdkio {
namespace {

class MisuseCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "spdkio.misuse"; }
  std::string message(int value) const override {
    switch (static_cast<Misuse>(value)) {
      case Misuse::wrong_thread: return "used on the wrong thread";
      case Misuse::already_closed: return "already closed";
      case Misuse::not_started: return "no environment is running";
      case Misuse::already_started: return "an environment is already running";
      case Misuse::invalid_argument: return "invalid argument";
      case Misuse::out_of_range: return "beyond the end of the device";
      case Misuse::misaligned: return "misaligned request";
      case Misuse::buffer_size: return "buffer size does not match the request";
      case Misuse::read_only: return "write through a read-only descriptor";
      case Misuse::would_block: return "a blocking call on a reactor thread";
      case Misuse::not_supported: return "operation not supported by the device";
      case Misuse::callback_threw: return "an exception left a callback";
    }
    return "unknown misuse";
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<Misuse>(value)) {
      case Misuse::already_closed: return std::errc::bad_file_descriptor;
      case Misuse::wrong_thread:
      case Misuse::would_block: return std::errc::operation_not_permitted;
      case Misuse::not_started: return std::errc::no_such_device;
      case Misuse::already_started: return std::errc::device_or_resource_busy;
      case Misuse::read_only: return std::errc::read_only_file_system;
      case Misuse::not_supported: return std::errc::operation_not_supported;
      default: return std::errc::invalid_argument;
    }
  }
};

class NvmeCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "nvme"; }
  std::string message(int value) const override { return std::string{from(value).text()}; }
  std::error_condition default_error_condition(int value) const noexcept override {
    return {from(value).to_errno(), std::generic_category()};
  }

 private:
  static NvmeStatus from(int value) {
    return {.sct = static_cast<std::uint8_t>(value >> 8), .sc = static_cast<std::uint8_t>(value)};
  }
};

}  // namespace

const std::error_category& misuse_category() noexcept {
  static const MisuseCategory category;
  return category;
}

const std::error_category& nvme_category() noexcept {
  static const NvmeCategory category;
  return category;
}

std::error_code make_error_code(Misuse value) noexcept { return {static_cast<int>(value), misuse_category()}; }

std::error_code make_error_code(const NvmeStatus& status) noexcept {
  return {status.sct << 8 | status.sc, nvme_category()};
}

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::failed: return "failed";
    case Outcome::never_submitted: return "never submitted";
    case Outcome::aborted: return "aborted";
    case Outcome::may_have_executed: return "may have executed";
  }
  return "unknown";
}

struct Error::Details {
  std::string message;
  std::string operation;
  std::string device;
  std::optional<LbaRange> range;
  std::optional<NvmeStatus> nvme_status;
  std::string hint;
  Outcome outcome = Outcome::failed;
  std::vector<std::string> context;
  std::string what;

  std::string compose(const std::error_code& code) const {
    std::string text;
    auto out = std::back_inserter(text);
    if (!operation.empty()) fmt::format_to(out, "{}", operation);
    if (!device.empty()) fmt::format_to(out, "{}{}", text.empty() ? "" : " on ", device);
    if (range) fmt::format_to(out, "{}blocks {}+{}", text.empty() ? "" : ", ", range->first.value, range->count.value);
    if (!text.empty()) text += ": ";
    const std::string reason = nvme_status ? nvme_status->describe() : code.message();
    if (message.empty()) {
      text += reason;
    } else if (code.category() == misuse_category()) {
      text += message;
    } else {
      fmt::format_to(out, "{} ({})", message, reason);
    }
    if (outcome != Outcome::failed && code.category() != misuse_category()) {
      fmt::format_to(out, " [{}]", to_string(outcome));
    }
    for (const auto& step : context) fmt::format_to(out, "; {}", step);
    if (!hint.empty()) fmt::format_to(out, ". Hint: {}", hint);
    return text;
  }
};

Error::Error(std::error_code code, std::string message) : std::system_error(code) {
  auto details = std::make_shared<Details>();
  details->message = std::move(message);
  details->what = details->compose(code);
  details_ = std::move(details);
}

Error::Error(const NvmeStatus& status, std::string message) : std::system_error(make_error_code(status)) {
  auto details = std::make_shared<Details>();
  details->message = std::move(message);
  details->nvme_status = status;
  details->what = details->compose(code());
  details_ = std::move(details);
}

Error::Error(std::error_code code, std::shared_ptr<const Details> details)
    : std::system_error(code), details_(std::move(details)) {}

Error Error::from_errno(int errno_value, std::string message) {
  return Error(std::error_code(errno_value, std::generic_category()), std::move(message));
}

Error Error::from_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::system_error& error) {
    return Error(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return Error(std::errc::not_enough_memory, "out of memory");
  } catch (const std::exception& error) {
    return Error(Misuse::callback_threw, error.what());
  } catch (...) {
    return Error(Misuse::callback_threw, "an exception that is not a std::exception");
  }
}

template <class F>
Error Error::edited(F&& edit) const {
  auto details = std::make_shared<Details>(*details_);
  edit(*details);
  details->what = details->compose(code());
  return Error(code(), std::move(details));
}

Error Error::with_operation(std::string_view operation) const {
  return edited([&](Details& d) { d.operation = operation; });
}
Error Error::with_device(std::string_view device) const {
  return edited([&](Details& d) { d.device = device; });
}
Error Error::with_range(LbaRange range) const {
  return edited([&](Details& d) { d.range = range; });
}
Error Error::with_hint(std::string_view hint) const {
  return edited([&](Details& d) { d.hint = hint; });
}
Error Error::with_outcome(Outcome outcome) const {
  return edited([&](Details& d) { d.outcome = outcome; });
}
Error Error::with_context(std::string_view context) const {
  return edited([&](Details& d) { d.context.emplace_back(context); });
}

const char* Error::what() const noexcept { return details_->what.c_str(); }
const std::string& Error::message() const noexcept { return details_->message; }
const std::string& Error::operation() const noexcept { return details_->operation; }
const std::string& Error::device() const noexcept { return details_->device; }
const std::optional<LbaRange>& Error::range() const noexcept { return details_->range; }
const std::optional<NvmeStatus>& Error::nvme_status() const noexcept { return details_->nvme_status; }
const std::string& Error::hint() const noexcept { return details_->hint; }
Outcome Error::outcome() const noexcept { return details_->outcome; }
const std::vector<std::string>& Error::context() const noexcept { return details_->context; }

int Error::to_errno() const noexcept {
  const auto condition = code().default_error_condition();
  return condition.category() == std::generic_category() && condition.value() != 0 ? condition.value() : EIO;
}

}  // namespace spdkio
